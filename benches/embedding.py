"""sentence-transformers and ONNX Runtime, for `benches/embedding.rs`.

    pip install sentence-transformers==6.2.0 torch==2.15.0 onnxruntime==1.32.0 onnx==1.23.2
    python3 benches/embedding.py FOLDER THREADS

FOLDER holds all-MiniLM-L6-v2 as wellread's cache does: config.json, model.safetensors and
tokenizer.json. The ONNX graph is exported from the same weights in fp32 and optimised by ONNX
Runtime. The first line of standard input is a JSON array of texts; each further line names a
program, and is answered with a line of JSON: seconds to embed all texts, and their vectors.
"""

import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from sentence_transformers import SentenceTransformer, models
from tokenizers import Tokenizer
from transformers import BertModel

folder, threads = Path(sys.argv[1]), int(sys.argv[2])
texts = json.loads(sys.stdin.readline())
torch.set_num_threads(threads)
BATCH = 32  # what sentence-transformers does unless told


def sentence_transformers():
    transformer = models.Transformer(str(folder), max_seq_length=256)
    pooling = models.Pooling(transformer.get_word_embedding_dimension(), "mean")
    model = SentenceTransformer(
        modules=[transformer, pooling, models.Normalize()], device="cpu"
    )
    return lambda: model.encode(texts, batch_size=BATCH, show_progress_bar=False)


def onnx_runtime():
    class Graph(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.bert = BertModel.from_pretrained(folder, attn_implementation="eager").eval()

        def forward(self, ids, mask):
            return self.bert(input_ids=ids, attention_mask=mask).last_hidden_state

    file = Path(tempfile.mkdtemp()) / "model.onnx"
    ids = torch.ones(2, 8, dtype=torch.long)
    axes = {name: {0: "batch", 1: "tokens"} for name in ("ids", "mask", "states")}
    torch.onnx.export(
        Graph(), (ids, ids), str(file), input_names=["ids", "mask"], output_names=["states"],
        dynamic_axes=axes, opset_version=17, dynamo=False,
    )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    session = onnxruntime.InferenceSession(str(file), options, ["CPUExecutionProvider"])
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(256)

    def embed():
        tokens = [one.ids for one in tokenizer.encode_batch(texts)]
        order = sorted(range(len(texts)), key=lambda at: -len(tokens[at]))
        vectors = np.empty((len(texts), 384), dtype=np.float32)
        for first in range(0, len(order), BATCH):
            batch = order[first : first + BATCH]
            longest = max(len(tokens[at]) for at in batch)
            ids = np.zeros((len(batch), longest), dtype=np.int64)
            mask = np.zeros((len(batch), longest), dtype=np.int64)
            for row, at in enumerate(batch):
                ids[row, : len(tokens[at])] = tokens[at]
                mask[row, : len(tokens[at])] = 1
            states = session.run(None, {"ids": ids, "mask": mask})[0]
            weights = mask[:, :, None].astype(np.float32)
            pooled = (states * weights).sum(1) / weights.sum(1)
            vectors[batch] = pooled / np.linalg.norm(pooled, axis=1, keepdims=True)
        return vectors

    return embed


programs = {"sentence-transformers": sentence_transformers(), "ONNX Runtime": onnx_runtime()}
for embed in programs.values():
    embed()
print(json.dumps(list(programs)), flush=True)
for line in sys.stdin:
    start = time.perf_counter()
    vectors = programs[line.strip()]()
    seconds = time.perf_counter() - start
    print(json.dumps({"seconds": seconds, "vectors": np.asarray(vectors).tolist()}), flush=True)
