"""A question answered with citations by LlamaIndex on llama.cpp, as a program of its own.

    pip install llama-index-core==0.14.25 llama-index-embeddings-huggingface==0.8.0 \
        llama-index-llms-openai-like==0.8.1 xllamacpp==2026.10.11549 sentence-transformers==6.2.0
    python3 benches/llamaindex.py MODEL.gguf FOLDER THREADS --data DATA ask --source FEED QUESTION

It takes what `benches/ask.rs` gives to every program, so that a script with the first three
arguments in it is a `--binary` of it. FOLDER holds all-MiniLM-L6-v2, DATA keeps the index between
calls. Everything else is as LlamaIndex has it of itself: its splitter, two chunks a question, and its
engine for answers with citations. llama.cpp runs within the process, as a server that only it uses.
"""

import html.parser
import os
import sys
import xml.etree.ElementTree as tree
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import xllamacpp
from llama_index.core import Document, Settings, StorageContext, VectorStoreIndex
from llama_index.core import load_index_from_storage
from llama_index.core.query_engine import CitationQueryEngine
from llama_index.embeddings.huggingface import HuggingFaceEmbedding
from llama_index.llms.openai_like import OpenAILike

model, folder, threads, _, data, _, _, source, *_, question = sys.argv[1:]


class Text(html.parser.HTMLParser):
    """The text of a post."""

    def __init__(self):
        super().__init__()
        self.parts = []

    def handle_data(self, data):
        self.parts.append(data)

    def handle_endtag(self, tag):
        if tag in ("p", "li", "h1", "h2", "h3", "h4", "pre", "blockquote"):
            self.parts.append("\n")


def documents():
    content = "{http://purl.org/rss/1.0/modules/content/}encoded"
    for item in tree.parse(source).iter("item"):
        text = Text()
        text.feed(item.findtext(content) or item.findtext("description") or "")
        title = item.findtext("title") or ""
        yield Document(text="".join(text.parts), metadata={"title": title})


parameters = xllamacpp.CommonParams()
parameters.model.path = model
parameters.n_ctx = 4096
parameters.n_parallel = 1
parameters.cpuparams.n_threads = int(threads)
parameters.cpuparams_batch.n_threads = int(threads)
server = xllamacpp.Server(parameters)

Settings.embed_model = HuggingFaceEmbedding(model_name=folder, device="cpu")
Settings.llm = OpenAILike(
    model="local",
    api_base=f"{server.listening_address}/v1",
    api_key="none",
    is_chat_model=True,
    context_window=4096,
    max_tokens=256,
    temperature=0.0,
    timeout=600,
)
if Path(data, "docstore.json").exists():
    index = load_index_from_storage(StorageContext.from_defaults(persist_dir=data))
else:
    index = VectorStoreIndex.from_documents(list(documents()))
    index.storage_context.persist(data)
answer = CitationQueryEngine.from_args(index, streaming=True).query(question)
for piece in answer.response_gen:
    print(piece, end="", flush=True)
print()
for number, node in enumerate(answer.source_nodes, 1):
    print(f"[{number}]", node.metadata.get("title"))
sys.stdout.flush()
os._exit(0)
