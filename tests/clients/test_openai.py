"""OpenAI's own SDK for Python."""
import asyncio
import hashlib
import json
import time

import httpx
import openai
import pydantic
import pytest

from openai_sdk import IMAGE, IMAGE_URL, asynchronous, check_upstream_fault, client, faults
from servers import ANSWER, OPINION, S2a, X, XPRIME

ASK = [{"role": "user", "content": X}]
WEATHER = [{"type": "function", "function": {
    "name": "weather", "description": "The weather in a city",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}}]
TOKENS = 12


def create(target_or_url, model, **more):
    url = getattr(target_or_url, "url", target_or_url)
    return client(url).chat.completions.create(
        **{"model": model, "messages": ASK, "max_tokens": TOKENS, "temperature": 0, **more})


def check_whole(target, answer):
    message = answer.choices[0].message
    assert answer.object == "chat.completion" and message.role == "assistant" and message.content
    assert answer.choices[0].finish_reason in ("stop", "length")
    usage = answer.usage
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
    if target.s2a:
        assert answer.s2a["mode"] in ("select", "rewrite")
    if target.exact:
        assert message.content == ANSWER
        assert message.reasoning_content == XPRIME
        assert answer.s2a["fallback"] is None
        assert [r["text"] for r in answer.s2a["removed"]] == [OPINION]
        assert usage.completion_tokens_details.reasoning_tokens > 0


def check_stream(target, chunks):
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    shown = "".join(getattr(c.choices[0].delta, "reasoning_content", None) or ""
                    for c in chunks if c.choices)
    finish = [c.choices[0].finish_reason for c in chunks if c.choices and c.choices[0].finish_reason]
    assert text and len(finish) == 1
    if target.exact:
        assert text == ANSWER and shown == XPRIME
    if target.s2a:
        assert "mode" in chunks[-1].s2a and not any(hasattr(c, "s2a") for c in chunks[:-1])


# ---- the same calls at every place

def test_whole(target):
    check_whole(target, create(target, target.model))


def test_plain(target):
    answer = create(target, target.plain)
    assert answer.choices[0].message.content
    assert not hasattr(answer, "s2a")


def test_stream(target):
    check_stream(target, list(create(target, target.model, stream=True)))


def test_stream_one_id(target):
    chunks = list(create(target, target.model, stream=True))
    assert len({(c.id, c.model) for c in chunks}) == 1
    assert len({c.created for c in chunks}) == 1 or not target.s2a  # llama-server's goes with the clock
    assert len([c for c in chunks if c.choices and c.choices[0].delta.role]) == 1


def test_stream_usage(target):
    chunks = list(create(target, target.model, stream=True, stream_options={"include_usage": True}))
    check_stream(target, chunks)
    last = chunks[-1]
    assert last.choices == [] and last.usage.completion_tokens > 0
    assert last.usage.total_tokens == last.usage.prompt_tokens + last.usage.completion_tokens
    assert all(c.usage is None for c in chunks[:-1])
    if target.exact:
        assert last.usage.completion_tokens_details.reasoning_tokens > 0


def test_stream_helper(target):
    with client(target.url).chat.completions.stream(
            model=target.model, messages=ASK, max_tokens=TOKENS) as stream:
        text = ""
        try:
            for event in stream:
                text += event.delta if event.type == "content.delta" else ""
            final = stream.get_final_completion()
        except openai.LengthFinishReasonError:
            assert not target.exact  # what the helper does about a real model that is cut short
            return
    assert text == final.choices[0].message.content and text
    if target.exact:
        assert text == ANSWER and final.choices[0].message.reasoning_content == XPRIME


def test_async(target):
    async def both():
        async with asynchronous(target.url) as c:
            whole = await c.chat.completions.create(model=target.model, messages=ASK, max_tokens=TOKENS)
            stream = await c.chat.completions.create(model=target.model, messages=ASK,
                                                     max_tokens=TOKENS, stream=True)
            return whole, [chunk async for chunk in stream]
    whole, chunks = asyncio.run(both())
    check_whole(target, whole)
    check_stream(target, chunks)


def test_several_turns(target):
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello, I like Poe."},
                {"role": "assistant", "content": "Hello."}, *ASK]
    check_whole(target, create(target, target.model, messages=messages))
    if target.fake:
        behind = target.fake.last()["json"]["messages"]
        assert behind[:3] == messages[:3] and OPINION not in behind[3]["content"]


def test_text_parts(target):
    parts = [{"type": "text", "text": OPINION}, {"type": "text", "text": " " + XPRIME}]
    check = create(target, target.model, messages=[{"role": "user", "content": parts}])
    assert check.choices[0].message.content


def test_completions(target):
    c = client(target.url)
    whole = c.completions.create(model=target.model, prompt=X, max_tokens=TOKENS)
    assert whole.object == "text_completion"
    chunks = list(c.completions.create(model=target.model, prompt=X, max_tokens=TOKENS, stream=True))
    text = "".join(k.choices[0].text for k in chunks if k.choices)
    # llama-server gives the bare prompt to the model, without its chat template: it may say nothing.
    assert target.place in ("peer", "front") or (whole.choices[0].text and text)
    if target.exact:
        assert whole.choices[0].text == ANSWER and text.strip() == ANSWER


def test_models(target):
    c = client(target.url)
    ids = [m.id for m in c.models.list()]
    assert target.plain in ids and target.model in ids
    if target.place in ("peer", "front"):
        with pytest.raises(openai.NotFoundError):  # llama-server has the list only
            c.models.retrieve(target.model)
    else:
        assert c.models.retrieve(target.model).id == target.model


def test_max_tokens(target):
    answer = create(target, target.plain, max_tokens=1)
    if not target.fake:
        assert answer.choices[0].finish_reason == "length" and answer.usage.completion_tokens == 1


def test_tools_called(target):
    ask = {"tools": WEATHER, "tool_choice": "required"}
    if not target.full:
        with pytest.raises(openai.BadRequestError, match="tool"):
            create(target, target.model, **ask)
        return
    answer = create(target, target.model, max_tokens=40, **ask)
    if target.exact:
        call = answer.choices[0].message.tool_calls[0]
        assert answer.choices[0].finish_reason == "tool_calls"
        assert call.function.name == "weather" and json.loads(call.function.arguments) == {"city": "Oslo"}


def test_json_mode(target):
    ask = {"response_format": {"type": "json_object"}, "max_tokens": 60}
    if not target.full:
        with pytest.raises(openai.BadRequestError, match="response_format"):
            create(target, target.model, **ask)
        return
    answer = create(target, target.model, **ask)
    if target.exact:
        assert json.loads(answer.choices[0].message.content)["year"] == 1855
    else:
        assert answer.choices[0].message.content.lstrip().startswith("{")


def test_stop(target):
    assert create(target, target.model, stop=["@@"]).choices[0].message.content is not None
    if target.fake:
        assert target.fake.last()["json"]["stop"] == ["@@"]


def test_unknown_model(target):
    if target.place in ("peer", "front"):
        # llama-server has one model and does not look at the name.
        assert create(target, "no-such-model").choices
        return
    for name in ("no-such-model", "s2a-no-such-model"):
        with pytest.raises(openai.NotFoundError) as e:
            create(target, name)
        assert e.value.status_code == 404 and e.value.body["message"]


def test_bad_request(target):
    with pytest.raises(openai.APIStatusError) as e:
        create(target, target.model, messages="no list")
    assert e.value.body["message"]
    assert e.value.status_code == 400


# ---- how S2A is asked for

def test_header(proxy):
    answer = client(proxy.url, default_headers={"X-S2A": "opinion"}).chat.completions.create(
        model="tiny", messages=ASK)
    assert answer.s2a["preset"] == "opinion" and answer.choices[0].message.reasoning_content == XPRIME
    off = create(proxy, "s2a-tiny", extra_headers={"X-S2A": "off"})
    assert not hasattr(off, "s2a")


def test_body_object(proxy):
    answer = create(proxy, "tiny", extra_body={"s2a": {"mode": "rewrite", "preset": "opinion", "show": "both"}})
    message = answer.choices[0].message
    assert message.reasoning_content == message.reasoning == XPRIME
    assert not any(b'"s2a"' in r["raw"] for r in proxy.fake.requests())
    with pytest.raises(openai.BadRequestError):
        create(proxy, "tiny", extra_body={"s2a": {"mode": "telepathy"}})


def test_think(proxy):
    answer = create(proxy, "s2a-tiny", extra_body={"s2a": {"show": "think"}})
    assert answer.choices[0].message.content.startswith("<think>")
    assert answer.choices[0].message.content.endswith(ANSWER)


# ---- what goes through a proxy

def body_of(proxy, url, **more):
    proxy.fake.forget()
    create(url, "tiny", **more)
    last = proxy.fake.last()
    return last["raw"], {k.lower(): v for k, v in last["headers"].items()}


@pytest.mark.parametrize("more", [
    {}, {"tools": WEATHER}, {"response_format": {"type": "json_object"}},
    {"messages": [{"role": "user", "content": [{"type": "text", "text": "é\u2028?"},
                                                {"type": "image_url", "image_url": {"url": IMAGE_URL}}]}]},
    {"extra_body": {"top_k": 5, "unknown": [1.10, 1e-7, None]}},
], ids=["plain", "tools", "json", "image", "unknown"])
def test_bytes_through(proxy, more):
    direct, direct_fields = body_of(proxy, proxy.fake.url, **more)
    through, fields = body_of(proxy, proxy.url, **more)
    assert through == direct
    changed = {"host", "x-request-id", "connection"}
    assert {k: v for k, v in fields.items() if k not in changed} == \
           {k: v for k, v in direct_fields.items() if k not in changed}


def test_image(proxy):
    content = [{"type": "text", "text": X}, {"type": "image_url", "image_url": {"url": IMAGE_URL}}]
    answer = create(proxy, "s2a-tiny", messages=[{"role": "user", "content": content}])
    assert answer.choices[0].message.content.endswith(hashlib.sha256(IMAGE).hexdigest())
    last = proxy.fake.last()
    assert IMAGE_URL.encode() in last["raw"]
    text, image = last["json"]["messages"][0]["content"]
    assert image == content[1] and OPINION not in text["text"] and "1855" in text["text"]


def test_tool_turns(proxy):
    """A call, its result, an answer; step 1 is applied to the user's text, and tools survive."""
    first = create(proxy, "s2a-tiny", tools=WEATHER)
    assert first.s2a["removed"][0]["text"] == OPINION
    asked = proxy.fake.last()["json"]
    assert asked["tools"] == WEATHER and OPINION not in asked["messages"][0]["content"]
    steps = [r["json"] for r in proxy.fake.requests() if r["method"] == "POST"]
    assert len(steps) == 2 and "tools" not in steps[0]
    call = first.choices[0].message
    assert call.reasoning_content == XPRIME and call.content is None
    result = {"role": "tool", "tool_call_id": call.tool_calls[0].id, "content": "sunny, I think it was Poe"}
    # What the SDK gives back, reasoning_content and all, is a valid next turn.
    second = create(proxy, "s2a-tiny", tools=WEATHER,
                    messages=[*ASK, call.model_dump(exclude_none=True), result])
    assert second.choices[0].message.content == "It is sunny, I think it was Poe."
    behind = proxy.fake.last()["json"]["messages"]
    assert behind[2] == result and behind[1]["tool_calls"] == call.model_dump()["tool_calls"]


def test_tool_stream(proxy):
    chunks = list(create(proxy, "s2a-tiny", tools=WEATHER, stream=True))
    deltas = [c.choices[0].delta for c in chunks if c.choices]
    calls = [d.tool_calls[0] for d in deltas if d.tool_calls]
    assert calls[0].function.name == "weather" and calls[0].id == "call_1"
    assert json.loads("".join(c.function.arguments for c in calls)) == {"city": "Oslo"}
    assert chunks[-1].choices[0].finish_reason == "tool_calls"


def test_parsed(proxy):
    """The SDK's structured output: a schema goes up, an object comes back."""
    class Poem(pydantic.BaseModel):
        author: str
        year: int
    answer = client(proxy.url).chat.completions.parse(model="s2a-tiny", messages=ASK, response_format=Poem)
    assert answer.choices[0].message.parsed == Poem(author="Walt Whitman", year=1855)
    assert proxy.fake.last()["json"]["response_format"]["type"] == "json_schema"


def test_other_paths(proxy):
    answer = client(proxy.url).embeddings.create(model="tiny", input=["a", "b"], encoding_format="float")
    assert [d.embedding for d in answer.data] == [[0.5, -0.25]] * 2
    assert proxy.fake.last()["path"] == "/v1/embeddings"


def test_key_goes_up(proxy):
    """Without a key of the server's own, step 1 and step 2 ask with the client's."""
    client(proxy.url, api_key="secret-1").chat.completions.create(model="s2a-tiny", messages=ASK)
    asked = proxy.fake.requests()
    assert len([r for r in asked if r["method"] == "POST"]) == 2
    assert {r["headers"]["Authorization"] for r in asked} == {"Bearer secret-1"}


# ---- errors: each with its own class

@pytest.mark.parametrize("prefix", ["", "s2a-"])
@pytest.mark.parametrize("stream", [False, True])
@faults
def test_upstream_fault(proxy, model, kind, status, stream, prefix):
    check_upstream_fault(create, proxy, prefix + model, kind, status, stream)


def test_retry(proxy):
    """The SDK's own retry works through the proxy: it sees the status and Retry-After-Ms."""
    answer = client(proxy.url, max_retries=2).chat.completions.create(model="busy-once", messages=ASK)
    assert answer.choices[0].message.content == ANSWER
    assert len(proxy.fake.requests()) == 2


def test_cut_stream(proxy):
    """All that came before the cut arrives; many times, as it is a matter of who is faster."""
    for model in ("broken", "s2a-broken") * 15:
        text = ""
        with pytest.raises((openai.APIError, httpx.HTTPError)):
            for chunk in create(proxy, model, stream=True):
                text += (chunk.choices[0].delta.content or "") if chunk.choices else ""
        assert text == "Walt Whitman "


def test_own_keys(tmp_path, places):
    keys = tmp_path / "keys"
    keys.write_text(hashlib.sha256(b"right").hexdigest() + "\n")
    server = S2a("--upstream", places.fake().url, "--api-keys", str(keys), "--access-log", "off")
    try:
        for call in (lambda c: c.models.list(),
                     lambda c: c.chat.completions.create(model="s2a-tiny", messages=ASK)):
            with pytest.raises(openai.AuthenticationError):
                call(client(server.url, api_key="wrong"))
            assert call(client(server.url, api_key="right"))
    finally:
        server.stop()


def test_too_large(places):
    server = S2a("--upstream", places.fake().url, "--max-body", "4096", "--access-log", "off")
    try:
        with pytest.raises(openai.APIStatusError) as e:
            create(server, "s2a-tiny", messages=[{"role": "user", "content": "x" * 5000}])
        assert e.value.status_code == 413
    finally:
        server.stop()


def test_strict(places):
    fake = places.fake()
    server = S2a("--upstream", fake.url, "--strict", "--step1-budget-ms", "200", "--access-log", "off")
    try:
        with pytest.raises(openai.InternalServerError) as e:
            create(server, "s2a-silent")
        assert e.value.status_code == 502
    finally:
        server.stop()


def test_no_server():
    with pytest.raises(openai.APIConnectionError):
        create("http://127.0.0.1:9/v1", "s2a-tiny")


def test_upstream_away():
    server = S2a("--upstream", "http://127.0.0.1:9/v1", "--access-log", "off")
    try:
        for model in ("tiny", "s2a-tiny"):
            with pytest.raises(openai.InternalServerError) as e:
                create(server, model)
            assert e.value.status_code == 502
    finally:
        server.stop()


# ---- hanging up, and time

@pytest.mark.parametrize("model", ["slow", "s2a-slow"])
def test_close_stream(proxy, model):
    stream = create(proxy, model, stream=True)
    for chunk in stream:
        if chunk.choices and chunk.choices[0].delta.content:
            break
    stream.close()
    assert proxy.fake.wait_hang_up()


@pytest.mark.parametrize("model", ["silent", "s2a-silent"])
def test_timeout(proxy, model):
    begun = time.monotonic()
    with pytest.raises(openai.APITimeoutError):
        client(proxy.url, timeout=0.5).chat.completions.create(model=model, messages=ASK)
    assert time.monotonic() - begun < 10
    assert proxy.fake.wait_hang_up()


def test_cancel_task(proxy):
    async def cancel():
        async with asynchronous(proxy.url) as c:
            task = asyncio.create_task(c.chat.completions.create(model="s2a-silent", messages=ASK))
            while not proxy.fake.requests():
                await asyncio.sleep(0.02)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
    asyncio.run(asyncio.wait_for(cancel(), 20))
    assert proxy.fake.wait_hang_up()


def test_many_at_once(proxy):
    async def many():
        async with asynchronous(proxy.url) as c:
            return await asyncio.gather(*[
                c.chat.completions.create(model="s2a-tiny" if i % 2 else "tiny", messages=ASK)
                for i in range(20)])
    answers = asyncio.run(many())
    assert [a.choices[0].message.content for a in answers] == [ANSWER] * 20
    assert [hasattr(a, "s2a") for a in answers] == [False, True] * 10


def test_raw_response(proxy):
    raw = client(proxy.url).chat.completions.with_raw_response.create(
        model="s2a-tiny", messages=ASK, extra_headers={"X-Request-Id": "id-7"})
    assert raw.headers["x-request-id"] == "id-7" and raw.parse().choices[0].message.content == ANSWER
    assert "x-s2a-fallback" not in raw.headers
