"""litellm, provider openai/: a name such as openai/s2a-NAME and an api_base."""
import asyncio
import base64
import hashlib
import json

import litellm
import pytest

from servers import ANSWER, OPINION, X, XPRIME

ASK = [{"role": "user", "content": X}]
IMAGE = bytes(range(256)) * 5
WEATHER = [{"type": "function", "function": {
    "name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}}]


def options(where, model, more):
    return {"model": "openai/" + model, "api_base": where.url, "api_key": "none", "messages": ASK,
            "max_retries": 0, "num_retries": 0, "timeout": 60, "max_tokens": 12, **more}


def ask(where, model, **more):
    return litellm.completion(**options(where, model, more))


def test_whole(target):
    answer = ask(target, target.model)
    message = answer.choices[0].message
    assert message.content and answer.usage.total_tokens > 0
    if target.exact:
        assert message.content == ANSWER and message.reasoning_content == XPRIME
        assert answer.usage.completion_tokens_details.reasoning_tokens > 0
    if target.fake:
        assert OPINION not in target.fake.last()["json"]["messages"][0]["content"]


def test_stream(target):
    chunks = list(ask(target, target.model, stream=True, stream_options={"include_usage": True}))
    whole = litellm.stream_chunk_builder(chunks, messages=ASK)
    assert whole.choices[0].message.content and whole.usage.total_tokens > 0
    if target.exact:
        assert whole.choices[0].message.content == ANSWER
        assert whole.choices[0].message.reasoning_content == XPRIME


def test_async(target):
    async def both():
        whole = await litellm.acompletion(**options(target, target.model, {}))
        stream = await litellm.acompletion(**options(target, target.model, {"stream": True}))
        return whole, [c async for c in stream]
    whole, chunks = asyncio.run(both())
    text = "".join(c.choices[0].delta.content or "" for c in chunks)
    assert whole.choices[0].message.content and text
    if target.exact:
        assert whole.choices[0].message.content == text == ANSWER


def test_tools(target):
    if not target.full:
        with pytest.raises(litellm.BadRequestError, match="tools"):
            ask(target, target.model, tools=WEATHER)
        return
    answer = ask(target, target.model, tools=WEATHER, max_tokens=40)
    if target.exact:
        call = answer.choices[0].message.tool_calls[0]
        assert json.loads(call.function.arguments) == {"city": "Oslo"}


def test_json(proxy):
    answer = ask(proxy, "s2a-tiny", response_format={"type": "json_object"})
    assert json.loads(answer.choices[0].message.content)["year"] == 1855


def test_image(proxy):
    url = "data:image/png;base64," + base64.b64encode(IMAGE).decode()
    parts = [{"type": "text", "text": X}, {"type": "image_url", "image_url": {"url": url}}]
    answer = ask(proxy, "s2a-tiny", messages=[{"role": "user", "content": parts}])
    assert answer.choices[0].message.content.endswith(hashlib.sha256(IMAGE).hexdigest())
    assert url.encode() in proxy.fake.last()["raw"]


def test_object(proxy):
    answer = ask(proxy, "tiny", extra_body={"s2a": {"preset": "opinion"}})
    assert answer.choices[0].message.reasoning_content == XPRIME
    assert answer.s2a["preset"] == "opinion"


@pytest.mark.parametrize("model, kind", [
    ("fail-500", litellm.InternalServerError), ("fail-429", litellm.RateLimitError),
    ("fail-401", litellm.AuthenticationError), ("fail-400", litellm.BadRequestError),
    ("nobody", litellm.NotFoundError)])
def test_faults(proxy, model, kind):
    for prefix in ("", "s2a-"):
        with pytest.raises(kind):
            ask(proxy, prefix + model)


def test_timeout(proxy):
    with pytest.raises(litellm.Timeout):
        ask(proxy, "s2a-silent", timeout=0.5)
    assert proxy.fake.wait_hang_up()
