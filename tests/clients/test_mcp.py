"""The MCP SDK for Python: s2a mcp as a client starts it, on the replayed backend."""
import asyncio
import time

import pytest

from servers import S2A, X, XPRIME, OPINION, clean_environment

mcp = pytest.importorskip("mcp")
from mcp import StdioServerParameters  # noqa: E402
from mcp.client import Client  # noqa: E402
from mcp.shared.exceptions import MCPError  # noqa: E402

JUDGE = "@score -5 -5\n@score 3 3 9\n@score 9 9 9\nnothing\n"
SLEEPS = "@score 3 3 9\n@sleep 20000\nnothing\n"
DOCUMENTS = ["It rained. It is on Friday.", "No."]


@pytest.fixture(params=["auto", "legacy"])
def talk(request, tmp_path):
    """Runs a coroutine of a client. auto first asks for a newer protocol than s2a has."""
    def run(coroutine, judge=JUDGE):
        script = tmp_path / "judge"
        script.write_text(judge)
        server = StdioServerParameters(command=S2A, args=["mcp", "--backend", "script", "--model", str(script)],
                                       env=clean_environment(), cwd=str(tmp_path))

        async def talking():
            async with Client(server, mode=request.param) as client:
                return await coroutine(client)
        return asyncio.run(asyncio.wait_for(talking(), 60))
    return run


def test_handshake_and_tools(talk):
    async def see(client):
        assert client.server_info.name == "s2a"
        assert client.protocol_version == "2025-11-25"
        await client.send_ping()
        return (await client.list_tools()).tools
    tools = {t.name: t for t in talk(see)}
    assert set(tools) == {"filter_context", "filter_prompt"}
    assert tools["filter_context"].input_schema["required"] == ["question", "documents"]
    assert tools["filter_context"].annotations.read_only_hint


def test_filter_context(talk):
    async def call(client):
        await client.list_tools()  # from then on the SDK holds results against the tools' schemas
        return await client.call_tool("filter_context", {"question": "When?", "documents": DOCUMENTS})
    result = talk(call)
    assert not result.is_error
    assert [c.text for c in result.content] == ["It is on Friday.", "No."]
    first, second = result.structured_content["documents"]
    assert first["pruned_text"] == "It is on Friday." and second["index"] == 1
    assert first["removed"] == [{"start": 0, "end": 10, "text": "It rained."}]
    assert 0 <= first["relevance_score"] <= 1


def test_filter_prompt(talk):
    async def call(client):
        await client.list_tools()
        return await client.call_tool("filter_prompt", {"text": X})
    result = talk(call, "@score -5 -5\n@score 3 3\n@score 9 9 9\nnothing\n")
    assert [c.text for c in result.content] == [XPRIME]
    assert result.structured_content["removed"][0]["text"] == OPINION
    assert result.structured_content["fallback"] is None


def test_faults(talk):
    async def call(client):
        with pytest.raises(MCPError) as unknown:
            await client.call_tool("frob", {})
        wrong = await client.call_tool("filter_context", {"question": "When?"})
        empty = await client.call_tool("filter_prompt", {"text": " "})
        return unknown.value.code, wrong, empty
    unknown, wrong, empty = talk(call)
    assert unknown == -32602
    assert wrong.is_error and "documents must be" in wrong.content[0].text
    assert empty.is_error and "it is empty" in empty.content[0].text


def test_cancel(talk):
    """A call that the client gives up ends there too: the next one need not wait for it."""
    async def call(client):
        started = time.monotonic()
        with pytest.raises(Exception):
            await client.call_tool("filter_prompt", {"text": X}, read_timeout_seconds=1)
        assert (await client.call_tool("filter_prompt", {})).is_error
        return time.monotonic() - started
    assert talk(call, SLEEPS) < 15


def test_in_order(talk):
    async def call(client):
        calls = [client.call_tool("filter_context", {"question": "When?", "documents": DOCUMENTS[:1 + i % 2]})
                 for i in range(20)]
        return await asyncio.gather(*calls)
    for i, result in enumerate(talk(call)):
        assert len(result.structured_content["documents"]) == 1 + i % 2


def test_ends_with_the_client(talk):
    async def call(client):
        await client.send_ping()
    started = time.monotonic()
    talk(call)
    assert time.monotonic() - started < 15
