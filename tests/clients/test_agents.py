"""The OpenAI Agents SDK. It wants a later OpenAI SDK than other clients: scripts/clients-test.sh has an environment for it."""
import asyncio
import json

import pytest

from openai_sdk import asynchronous
from servers import ANSWER, OPINION, X

agents = pytest.importorskip("agents", reason="of the environment of the Agents SDK")
agents.set_tracing_disabled(True)


def agent_of(url, model, **more):
    return agents.Agent(name="poet", instructions="Be brief. I like Poe.",
                        model=agents.OpenAIResponsesModel(model=model, openai_client=asynchronous(url)), **more)


def run(url, model, **more):
    return asyncio.run(agents.Runner.run(agent_of(url, model, **more), X))


def tool_of(asked):
    @agents.function_tool
    def weather(city: str) -> str:
        """The weather in a city"""
        asked.append(city)
        return "sunny"
    return weather


def check(target, ask):
    """The SDK raises an exception for an answer that is cut by its tokens, as a small model's is."""
    if target.place == "embedded":
        with pytest.raises(agents.exceptions.ModelBehaviorError, match="response.incomplete|max_output_tokens"):
            ask()
        return
    final, text = ask()
    assert final and final == text
    assert final == ANSWER or not target.exact


def test_run(target):
    def ask():
        result = run(target.url, target.model, model_settings=agents.ModelSettings(max_tokens=4))
        return result.final_output, result.new_items[-1].raw_item.content[0].text
    check(target, ask)


def test_stream(target):
    async def stream():
        agent = agent_of(target.url, target.model, model_settings=agents.ModelSettings(max_tokens=4))
        result = agents.Runner.run_streamed(agent, X)
        events = [e.data async for e in result.stream_events() if e.type == "raw_response_event"]
        return result.final_output, "".join(e.delta for e in events if e.type == "response.output_text.delta")
    check(target, lambda: asyncio.run(stream()))


@pytest.mark.parametrize("streamed", [False, True])
def test_tool(proxy, streamed):
    asked = []
    agent = agent_of(proxy.url, "s2a-tiny", tools=[tool_of(asked)])

    async def both():
        if not streamed:
            return await agents.Runner.run(agent, X)
        result = agents.Runner.run_streamed(agent, X)
        async for _ in result.stream_events():
            pass
        return result
    result = asyncio.run(both())
    assert result.final_output == "It is sunny." and asked == ["Oslo"]
    bodies = [r["json"] for r in proxy.fake.requests() if r["path"] == "/v1/responses"]
    assert [b["model"] for b in bodies] == ["tiny", "tiny"]
    assert all(b["instructions"] == "Be brief. I like Poe." and b["tools"][0]["name"] == "weather" for b in bodies)
    assert not any(OPINION in json.dumps(b["input"]) for b in bodies)
    assert bodies[1]["input"][-1] == {"type": "function_call_output", "call_id": "call_1", "output": "sunny"}


def test_tool_live(target):
    """A small model may call the tool or not; either way the run ends."""
    if target.place != "front":
        pytest.skip("in front of llama-server")
    settings = agents.ModelSettings(max_tokens=40, temperature=0)
    try:
        assert run(target.url, target.model, tools=[tool_of([])], model_settings=settings).final_output
    except agents.exceptions.AgentsException as e:
        assert isinstance(e, (agents.exceptions.MaxTurnsExceeded, agents.exceptions.ModelBehaviorError))


def test_tool_refused(target):
    if target.full:
        pytest.skip("in front of a server: test_tool")
    with pytest.raises(Exception, match="tools"):
        run(target.url, target.model, tools=[tool_of([])])
