"""LangChain, by langchain-openai."""
import asyncio
import base64
import hashlib

import openai
import pydantic
import pytest
from langchain_core.messages import HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAI

from servers import ANSWER, OPINION, X, XPRIME

IMAGE = bytes(range(256)) * 5


def chat(where, model, **more):
    return ChatOpenAI(**{"base_url": where.url, "api_key": "none", "model": model, "max_retries": 0,
                         "timeout": 60, "max_tokens": 12, **more})


@tool
def weather(city: str) -> str:
    """The weather in a city."""
    return "sunny"


class Poem(pydantic.BaseModel):
    """A poem."""
    author: str
    year: int


def test_invoke(target):
    answer = chat(target, target.model).invoke([SystemMessage("Be brief."), HumanMessage(X)])
    assert answer.content and answer.usage_metadata["total_tokens"] > 0
    if target.exact:
        assert answer.content == ANSWER
        assert answer.usage_metadata["output_token_details"]["reasoning"] > 0
    if target.fake:
        assert OPINION not in target.fake.last()["json"]["messages"][1]["content"]


def test_stream(target):
    pieces = list(chat(target, target.model, stream_usage=True).stream(X))
    whole = sum(pieces[1:], pieces[0])
    assert whole.content and whole.usage_metadata["total_tokens"] > 0
    if target.exact:
        assert whole.content == ANSWER


def test_async(target):
    async def ask():
        model = chat(target, target.model)
        return await model.ainvoke(X), [p async for p in model.astream(X)]
    whole, pieces = asyncio.run(ask())
    assert whole.content and "".join(p.content for p in pieces)
    if target.exact:
        assert whole.content == "".join(p.content for p in pieces) == ANSWER


def test_tools(target):
    model = chat(target, target.model, max_tokens=40).bind_tools([weather])
    if not target.full:
        with pytest.raises(openai.BadRequestError, match="tools"):
            model.invoke(X)
        return
    call = model.invoke(X)
    if not target.exact:
        return  # the small model may call it or not
    assert call.tool_calls[0]["name"] == "weather" and call.tool_calls[0]["args"] == {"city": "Oslo"}
    result = ToolMessage(weather.invoke(call.tool_calls[0]["args"]), tool_call_id=call.tool_calls[0]["id"])
    assert model.invoke([HumanMessage(X), call, result]).content == "It is sunny."


def test_shown(proxy):
    """langchain-openai drops reasoning_content, as it says of itself; `show` think is for such clients."""
    assert "reasoning_content" not in chat(proxy, "s2a-tiny").invoke(X).additional_kwargs
    think = chat(proxy, "s2a-tiny", extra_body={"s2a": {"show": "think"}}).invoke(X)
    assert think.content.startswith("<think>") and XPRIME in think.content and think.content.endswith(ANSWER)


def test_structured(proxy):
    for method in ("json_schema", "json_mode"):
        model = chat(proxy, "s2a-tiny").with_structured_output(Poem, method=method)
        assert model.invoke(X) == Poem(author="Walt Whitman", year=1855)


def test_image(proxy):
    url = "data:image/png;base64," + base64.b64encode(IMAGE).decode()
    parts = [{"type": "text", "text": X}, {"type": "image_url", "image_url": {"url": url}}]
    answer = chat(proxy, "s2a-tiny").invoke([HumanMessage(parts)])
    assert answer.content.endswith(hashlib.sha256(IMAGE).hexdigest())
    assert url.encode() in proxy.fake.last()["raw"]


def test_completions(proxy):
    model = OpenAI(base_url=proxy.url, api_key="none", model="s2a-tiny", max_retries=0)
    assert model.invoke(X).strip() == ANSWER


@pytest.mark.parametrize("model, kind", [
    ("fail-500", openai.InternalServerError), ("fail-429", openai.RateLimitError),
    ("fail-401", openai.AuthenticationError), ("fail-400", openai.BadRequestError),
    ("nobody", openai.NotFoundError)])
def test_faults(proxy, model, kind):
    for prefix in ("", "s2a-"):
        with pytest.raises(kind):
            chat(proxy, prefix + model).invoke(X)


def test_close_stream(proxy):
    stream = chat(proxy, "s2a-slow", max_tokens=400).stream(X)
    for piece in stream:
        if piece.content:
            break
    stream.close()
    assert proxy.fake.wait_hang_up()


def test_timeout(proxy):
    with pytest.raises(openai.APITimeoutError):
        chat(proxy, "s2a-silent", timeout=0.5).invoke(X)
    assert proxy.fake.wait_hang_up()
