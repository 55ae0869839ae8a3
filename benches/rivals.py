"""The vectors and questions of `benches/index.rs` in LanceDB and sqlite-vec.

Needs a Python with numpy, pyarrow, lancedb, sqlite-vec and apsw. Prints one JSON object.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np

DIMENSIONS = 384
folder = Path(sys.argv[1])
vectors = np.fromfile(folder / "vectors.f32", dtype="<f4").reshape(-1, DIMENSIONS)
questions = np.fromfile(folder / "questions.f32", dtype="<f4").reshape(-1, DIMENSIONS)
exact = np.fromfile(folder / "exact.f32", dtype="<f4").reshape(-1, DIMENSIONS)
truth = json.loads((folder / "truth.json").read_text())


def measure(search, most=500):
    """Milliseconds of a search for 50 neighbours, and recall of the nearest ten."""
    times = []
    for question in questions[:most]:
        start = time.perf_counter()
        search(question, 50)
        times.append((time.perf_counter() - start) * 1e3)
    found = [search(question, 10) for question in exact]
    hits = sum(len(set(a) & set(b)) for a, b in zip(found, truth))
    return {
        "p50_ms": float(np.percentile(times, 50)),
        "p95_ms": float(np.percentile(times, 95)),
        "p99_ms": float(np.percentile(times, 99)),
        "recall_at_10": hits / sum(map(len, truth)),
    }


def size_of(path):
    files = [path] if path.is_file() else path.rglob("*")
    return sum(file.stat().st_blocks * 512 for file in files if file.is_file()) / 1e6


def sqlite_vec():
    import apsw
    import sqlite_vec as extension

    path = folder / "vec.sqlite"
    start = time.perf_counter()
    db = apsw.Connection(str(path))
    db.enable_load_extension(True)
    db.load_extension(extension.loadable_path())
    db.execute(f"create virtual table v using vec0(e float[{DIMENSIONS}] distance_metric=cosine)")
    with db:
        db.executemany(
            "insert into v(rowid, e) values (?, ?)",
            ((n, vector.tobytes()) for n, vector in enumerate(vectors)),
        )
    built = time.perf_counter() - start

    def search(question, k):
        sql = "select rowid from v where e match ? and k = ? order by distance"
        return [row[0] for row in db.execute(sql, (question.tobytes(), k))]

    # It looks at every vector: some questions are enough.
    return {"build_s": built, "disk_mb": size_of(path), **measure(search, 100)}


def lancedb():
    import lancedb as lance
    import pyarrow as pa

    path = folder / "lance"
    start = time.perf_counter()
    rows = pa.table(
        {
            "n": pa.array(np.arange(len(vectors))),
            "vector": pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), DIMENSIONS),
        }
    )
    table = lance.connect(path).create_table("t", rows)
    table.create_index(metric="cosine", index_type="IVF_HNSW_SQ")
    built = time.perf_counter() - start

    def search(question, k):
        found = table.search(question).limit(k).nprobes(20).refine_factor(2).select(["n", "_distance"])
        return found.to_arrow()["n"].to_pylist()

    return {"build_s": built, "disk_mb": size_of(path), **measure(search)}


print(json.dumps({"chunks": len(vectors), "sqlite-vec": sqlite_vec(), "lancedb": lancedb()}))
