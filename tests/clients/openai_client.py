"""The official OpenAI client against `/v1`.

Usage: openai_client.py URL VECTOR_FILE
VECTOR_FILE holds the engine's own vector of "varnish" as JSON. Prints "ok" at the end.
"""

import base64
import json
import re
import struct
import sys
import time
import urllib.request

import openai

URL, VECTOR = sys.argv[1:]
QUESTION = "How long does a coat of varnish dry?"
client = openai.OpenAI(base_url=f"{URL}/v1", api_key="none", max_retries=0, timeout=120)


def user(text):
    return [{"role": "user", "content": text}]


def ask(messages, **more):
    return client.chat.completions.create(model="wellread", messages=messages, **more)


def check(content, annotations, answer):
    """Every mark of the text is annotated, and every annotation is of its mark."""
    marks = [(m.start(), m.end()) for m in re.finditer(r"\[\d+\]\([^)]*\)", content)]
    places = []
    for annotation in annotations:
        assert annotation["type"] == "url_citation"
        citation = annotation["url_citation"]
        start, end = citation["start_index"], citation["end_index"]
        mark = re.fullmatch(r"\[(\d+)\]\((.*)\)", content[start:end])
        assert mark and mark[2] == citation["url"], (content, citation)
        passage = next(p for p in answer["passages"] if p["n"] == int(mark[1]))
        assert citation["title"] == passage["title"]
        places.append((start, end))
    if answer["status"] == "answered":
        assert places == marks and marks, (content, annotations)
        assert answer["sentences"][0]["citations"]
    else:
        assert content.startswith("The articles don't say (") and not annotations
        assert "Nearest sections:" in content or not answer["passages"]


def raises(kind, call, said):
    try:
        call()
    except kind as error:
        assert said in str(error), error
        return error
    raise AssertionError(f"no {kind.__name__}")


def wanted():
    with urllib.request.urlopen(f"{URL}/api/status") as response:
        return json.load(response)["answers_wanted"]


# Models.
models = client.models.list().data
assert [model.id for model in models] == ["wellread"]
assert client.models.retrieve("wellread").owned_by == "wellread"
raises(openai.NotFoundError, lambda: client.models.retrieve("gpt-9"), "does not exist")

# The whole answer.
whole = ask(user(QUESTION), temperature=0.2, max_tokens=50, user="me")
choice = whole.choices[0]
assert choice.finish_reason == "stop" and choice.message.role == "assistant"
answer = whole.wellread
assert answer["question"] == QUESTION
annotations = [annotation.model_dump() for annotation in choice.message.annotations or []]
check(choice.message.content, annotations, answer)
assert whole.usage.total_tokens == whole.usage.prompt_tokens + whole.usage.completion_tokens

# As it comes: the same text.
raw = client.chat.completions.with_raw_response.create(
    model="wellread", messages=user(QUESTION), stream=True, stream_options={"include_usage": True}
)
assert raw.headers["x-accel-buffering"] == "no"
assert raw.headers["content-type"].startswith("text/event-stream")
chunks = list(raw.parse())
assert chunks[0].choices[0].delta.role == "assistant"
assert len({chunk.id for chunk in chunks}) == 1
*body, used = chunks
assert used.choices == [] and used.usage.total_tokens == whole.usage.total_tokens
assert all(chunk.usage is None for chunk in body)
reasons = [chunk.choices[0].finish_reason for chunk in body]
assert reasons[-1] == "stop" and not any(reasons[:-1]), reasons
deltas = [chunk.choices[0].delta for chunk in body]
content = "".join(delta.content or "" for delta in deltas)
assert content == choice.message.content, (content, choice.message.content)
streamed = [a for delta in deltas for a in (delta.model_extra or {}).get("annotations", [])]
assert streamed == annotations
last = body[-1].model_extra["wellread"]
assert last["sentences"] == answer["sentences"] and last["passages"] == answer["passages"]

# A follow-up, as chat programs send it, and an abstention.
follow = ask(
    [{"role": "system", "content": "Be brief."}]
    + user(QUESTION)
    + [{"role": "assistant", "content": choice.message.content}]
    + [{"role": "user", "content": [{"type": "text", "text": "And what does it cost?"}]}]
)
check(
    follow.choices[0].message.content,
    [annotation.model_dump() for annotation in follow.choices[0].message.annotations or []],
    follow.wellread,
)
none = ask(user("zzyzx qwrtp vlkjh?"))
assert none.wellread["status"] == "abstained"
check(none.choices[0].message.content, [], none.wellread)
assert none.choices[0].finish_reason == "stop"

# Prompts for titles and tags search for nothing.
task = '### Task:\nGenerate a title.\nJSON format: { "title": "…" }\n<chat_history>\nUSER: Varnish?\nASSISTANT: …\n</chat_history>'
start = time.monotonic()
title = ask(user(task))
assert json.loads(title.choices[0].message.content) == {"title": "Varnish"}
assert time.monotonic() - start < 2 and not hasattr(title, "wellread")
assert "".join(c.choices[0].delta.content or "" for c in ask(user(task), stream=True)) == (
    title.choices[0].message.content
)

# Embeddings are the engine's own, in both encodings.
own = json.load(open(VECTOR))
given = client.embeddings.create(model="wellread", input="varnish")
assert max(abs(a - b) for a, b in zip(given.data[0].embedding, own, strict=True)) < 1e-6
floats = client.embeddings.create(
    model="all-minilm-l6-v2", input=["varnish", "two days"], encoding_format="float"
)
assert [one.index for one in floats.data] == [0, 1] and len(floats.data[1].embedding) == 384
assert max(abs(a - b) for a, b in zip(floats.data[0].embedding, own)) < 1e-5
assert floats.usage.prompt_tokens > 4
coded = client.embeddings.with_raw_response.create(
    model="wellread", input="varnish", encoding_format="base64"
)
text = json.loads(coded.text if isinstance(coded.text, str) else coded.text())["data"][0]["embedding"]
assert list(struct.unpack("<384f", base64.b64decode(text)))[0] == given.data[0].embedding[0]

# What is wrong is said in the right class.
bad = openai.BadRequestError
embed = client.embeddings.create
raises(bad, lambda: ask(user("x"), n=2), "n can only be 1")
tool = {"type": "function", "function": {"name": "f", "parameters": {}}}
raises(bad, lambda: ask(user("x"), tools=[tool]), "Tools can't be called")
raises(bad, lambda: ask([]), "no question")
raises(bad, lambda: ask(user("")), "empty")
raises(bad, lambda: ask(user("x" * 20000)), "at most 8192")
image = [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]
raises(bad, lambda: ask(user(image)), "Only text")
raises(bad, lambda: ask(user("x"), response_format={"type": "json_object"}), "response_format")
raises(openai.NotFoundError, lambda: client.chat.completions.create(model="gpt-9", messages=user("x")), "'wellread'")
long = raises(bad, lambda: embed(model="wellread", input="varnish " * 400), "maximum context length is 256")
assert long.code == "context_length_exceeded" and long.type == "invalid_request_error"
raises(bad, lambda: embed(model="wellread", input=[[1, 2]]), "tokens can't be read")
raises(bad, lambda: embed(model="wellread", input=["x", " "]), "empty")
raises(bad, lambda: embed(model="wellread", input=[]), "0 texts")
raises(bad, lambda: embed(model="wellread", input="x", dimensions=7), "384 dimensions")
raises(openai.NotFoundError, lambda: embed(model="ada", input="x"), "does not exist")
for route, method, status in (("/nothing", "GET", 404), ("/models", "POST", 405)):
    try:
        urllib.request.urlopen(urllib.request.Request(f"{URL}/v1{route}", method=method))
        raise AssertionError(route)
    except urllib.error.HTTPError as error:
        assert error.code == status and "message" in json.load(error)["error"]
for broken in (b"{", b"\xff\xfe", b'"x"', b'{"model": 3}'):
    try:
        request = urllib.request.Request(f"{URL}/v1/chat/completions", data=broken)
        urllib.request.urlopen(request)
        raise AssertionError(broken)
    except urllib.error.HTTPError as error:
        assert error.code == 400 and json.load(error)["error"]["type"] == "invalid_request_error"

# A client that goes away stops its answer.
stream = ask(user("Why do boats need varnish at all?"), stream=True)
next(iter(stream))
stream.close()
for _ in range(100):
    if wanted() == 0:
        break
    time.sleep(0.1)
assert wanted() == 0, "the answer that nobody reads goes on"
print("ok")
