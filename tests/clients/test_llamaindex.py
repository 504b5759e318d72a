"""LlamaIndex, by llama-index-llms-openai-like."""
import asyncio
import base64
import hashlib

import openai
import pytest
from llama_index.core.llms import ChatMessage, ImageBlock, TextBlock
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai_like import OpenAILike

from servers import ANSWER, OPINION, X, XPRIME

# The smallest picture: LlamaIndex looks what kind of picture it is.
IMAGE = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")
ASK = [ChatMessage(role="system", content="Be brief."), ChatMessage(role="user", content=X)]


def model_of(where, model, **more):
    return OpenAILike(**{"api_base": where.url, "api_key": "none", "model": model, "max_retries": 0,
                         "is_chat_model": True, "is_function_calling_model": True, "timeout": 60,
                         "max_tokens": 12, **more})


def thinking(message):
    return [b.content for b in message.blocks if b.block_type == "thinking"]


def test_chat(target):
    answer = model_of(target, target.model).chat(ASK)
    assert answer.message.content
    if target.exact:
        assert answer.message.content == ANSWER and thinking(answer.message) == [XPRIME]
    if target.fake:
        assert OPINION not in target.fake.last()["json"]["messages"][1]["content"]


def test_complete(target):
    answer = model_of(target, target.model).complete(X)
    assert answer.text
    if target.exact:
        assert answer.text == ANSWER


def test_stream(target):
    pieces = list(model_of(target, target.model).stream_chat(ASK))
    text = "".join(p.delta or "" for p in pieces)
    assert text and pieces[-1].message.content == text
    if target.exact:
        assert text == ANSWER and thinking(pieces[-1].message) == [XPRIME]


def test_async(target):
    async def ask():
        model = model_of(target, target.model)
        whole = await model.achat(ASK)
        return whole, [p async for p in await model.astream_chat(ASK)]
    whole, pieces = asyncio.run(ask())
    assert whole.message.content and pieces[-1].message.content
    if target.exact:
        assert whole.message.content == pieces[-1].message.content == ANSWER


def test_tools(target):
    def weather(city: str) -> str:
        """The weather in a city."""
        return "sunny"
    model = model_of(target, target.model, max_tokens=40)
    tools = [FunctionTool.from_defaults(weather)]
    if not target.full:
        with pytest.raises(openai.BadRequestError, match="tools"):
            model.chat_with_tools(tools, user_msg=X)
        return
    answer = model.chat_with_tools(tools, user_msg=X)
    if target.exact:
        call = model.get_tool_calls_from_response(answer)[0]
        assert call.tool_name == "weather" and call.tool_kwargs == {"city": "Oslo"}


def test_image(proxy):
    message = ChatMessage(role="user", blocks=[
        TextBlock(text=X), ImageBlock(image=IMAGE, image_mimetype="image/png")])
    answer = model_of(proxy, "s2a-tiny").chat([message])
    assert answer.message.content.endswith(hashlib.sha256(IMAGE).hexdigest())


def test_json(proxy):
    answer = model_of(proxy, "s2a-tiny").chat(ASK, response_format={"type": "json_object"})
    assert '"year": 1855' in answer.message.content


def test_legacy(proxy):
    assert model_of(proxy, "s2a-tiny", is_chat_model=False).complete(X).text.strip() == ANSWER
    assert proxy.fake.last()["path"] == "/v1/completions"


@pytest.mark.parametrize("model, kind", [
    ("fail-500", openai.InternalServerError), ("fail-429", openai.RateLimitError),
    ("fail-401", openai.AuthenticationError), ("nobody", openai.NotFoundError)])
def test_faults(proxy, model, kind):
    for prefix in ("", "s2a-"):
        with pytest.raises(kind):
            model_of(proxy, prefix + model).chat(ASK)


def test_timeout(proxy):
    with pytest.raises(openai.APITimeoutError):
        model_of(proxy, "s2a-silent", timeout=0.5).chat(ASK)
    assert proxy.fake.wait_hang_up()
