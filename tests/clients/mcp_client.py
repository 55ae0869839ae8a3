"""The official MCP client against `wellread mcp` and `/mcp`.

Usage: mcp_client.py MODE (stdio COMMAND… | http URL)
MODE is legacy (the handshake of the older specifications) or a version, as 2026-07-28.
Prints "ok" at the end; fails by an assertion.
"""

import json
import re
import sys

import anyio
import jsonschema
from mcp import Client, MCPError, StdioServerParameters

TOOLS = ["search", "fetch", "ask", "check_claims", "list_articles", "status"]
QUESTION = "How long does a coat of varnish dry?"
# As the test's hostile article has it.
HOSTILE = "<script>alert(1)</script> ![spy](http://evil.example/x.png) \u202e\x1b[31m"


def server():
    kind, *rest = sys.argv[2:]
    if kind == "http":
        return rest[0]
    return StdioServerParameters(command=rest[0], args=rest[1:], env=dict(__import__("os").environ))


async def call(client, tools, name, arguments, **more):
    """A tool's result, checked against the schema that the server gave."""
    result = await client.call_tool(name, arguments, **more)
    assert not result.is_error, result.content
    texts = [block for block in result.content if block.type == "text"]
    assert len(texts) == 1 and result.content[0].type == "text", result.content
    assert json.loads(texts[0].text) == result.structured_content
    jsonschema.validate(result.structured_content, tools[name].output_schema)
    assert not re.search("[\u202e\x1b]", texts[0].text), "a terminal would obey it"
    for link in result.content[1:]:
        assert link.type == "resource_link" and link.uri.startswith("wellread://article/"), link
    return result


async def error(client, name, arguments):
    result = await client.call_tool(name, arguments)
    assert result.is_error, result
    return result.content[0].text


async def main():
    async with Client(server(), mode=sys.argv[1], read_timeout_seconds=60) as client:
        is_modern = sys.argv[1] != "legacy"
        assert (client.protocol_version == "2026-07-28") == is_modern, client.protocol_version
        assert client.instructions or is_modern

        listed = await client.list_tools()
        assert [tool.name for tool in listed.tools] == TOOLS
        again = await client.list_tools(cache_mode="bypass")
        assert again.tools == listed.tools
        tools = {tool.name: tool for tool in listed.tools}
        for tool in listed.tools:
            assert tool.annotations.read_only_hint is True
            jsonschema.Draft202012Validator.check_schema(tool.input_schema)
            jsonschema.Draft202012Validator.check_schema(tool.output_schema)

        found = await call(client, tools, "search", {"query": QUESTION, "limit": 5})
        assert len(found.content) == 1, "clients of connectors want one text and nothing else"
        results = found.structured_content["results"]
        assert results and all(one["url"] for one in results)
        assert len({one["id"] for one in results}) == len(results)
        ranks = [passage["rank"] for one in results for passage in one["passages"]]
        assert sorted(ranks) == [1, 2, 3, 4, 5]

        read = await call(client, tools, "fetch", {"id": results[0]["id"]})
        assert read.structured_content["title"] == results[0]["title"]
        assert results[0]["passages"][0]["text"].split("\n")[0] in read.structured_content["text"]

        listing = (await call(client, tools, "list_articles", {"limit": 2})).structured_content
        assert len(listing["articles"]) == 2 and listing["total"] > 2
        rest = {"limit": 2, "offset": 1}
        rest = (await call(client, tools, "list_articles", rest)).structured_content
        assert rest["articles"][0] == listing["articles"][1]

        status = (await call(client, tools, "status", {})).structured_content
        assert status["articles"] == listing["total"]

        claims = await call(client, tools, "check_claims", {"text": "The varnish costs 9000 euros."})
        assert claims.structured_content["sentences"][0]["verdict"] != "supported"

        quoted = await call(client, tools, "ask", {"question": QUESTION, "quotes": True})
        assert quoted.structured_content["quoted"] is True
        assert quoted.structured_content["partial"] is False

        steps = []

        async def progress(value, total, message):
            steps.append((value, message))

        asked = await call(client, tools, "ask", {"question": QUESTION}, progress_callback=progress)
        answer = asked.structured_content
        assert answer["question"] == QUESTION and answer["status"] in ("answered", "abstained")
        values = [value for value, _ in steps]
        assert len(values) >= 2 and values == sorted(set(values)), steps
        if answer["status"] == "answered":
            assert len(asked.content) > 1, "what is cited is linked"

        # Errors are the caller's to read.
        assert "16 hexadecimal digits" in await error(client, "fetch", {"id": "nonsense"})
        assert "no article" in await error(client, "fetch", {"id": "0" * 16})
        said = await error(client, "search", {"query": QUESTION, "source": "Small Boat Journel"})
        assert "there is no source" in said, said
        assert "is not a date" in await error(client, "search", {"query": "x", "since": "soon"})
        assert "unknown field" in await error(client, "search", {"query": "x", "sources": "y"})
        assert "empty" in await error(client, "ask", {"question": " "})
        try:
            await client.call_tool("drop_tables", {})
            raise AssertionError("there is no such tool")
        except MCPError as failure:
            assert failure.code == -32602, failure

        # Resources.
        templates = (await client.list_resource_templates()).resource_templates
        assert [one.uri_template for one in templates] == ["wellread://article/{id}"]
        resources = (await client.list_resources()).resources
        assert len(resources) == listing["total"]
        assert all(one.annotations.last_modified for one in resources)
        contents = (await client.read_resource(results[0]["resource"])).contents
        assert contents[0].text == read.structured_content["text"]
        assert contents[0].mime_type == "text/plain"
        for uri in ("wellread://article/" + "0" * 16, "wellread://article/x", "file:///etc/passwd"):
            try:
                await client.read_resource(uri)
                raise AssertionError(uri)
            except MCPError as failure:
                assert failure.code == (-32602 if is_modern else -32002), failure

        # A hostile article is text.
        hostile = await call(client, tools, "search", {"query": "spy alert hostile lighthouse"})
        text = json.dumps(hostile.structured_content, ensure_ascii=False)
        assert json.dumps(HOSTILE, ensure_ascii=False).strip('"') in text, text

        # A request that is cancelled stops its answer: nobody is waited for any more. Over HTTP the
        # older specifications name it in a request of its own, which needs a session.
        if sys.argv[1:3] == ["legacy", "http"]:
            print("ok")
            return
        with anyio.move_on_after(0.3):
            await client.call_tool("ask", {"question": "Why do boats need varnish at all?"})
        for _ in range(100):
            left = (await client.call_tool("status", {})).structured_content["answers_wanted"]
            if left == 0:
                break
            await anyio.sleep(0.1)
        assert left == 0, "the cancelled answer goes on"
    print("ok")


anyio.run(main)
