"""Anthropic's own SDK for Python."""
import asyncio
import base64
import hashlib
import json

import anthropic
import httpx2
import pytest

from servers import ANSWER, OPINION, S2a, X, XPRIME

TOKENS = 16
IMAGE = bytes(range(256)) * 40
ASK = [{"role": "user", "content": X}]
CACHED = {"type": "ephemeral"}
WEATHER = [{"name": "weather", "description": "The weather in a city", "input_schema": {
    "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}]
THINKING = {"type": "thinking", "thinking": "I hate it.", "signature": "EuYBCkQ/+=" * 500}
REDACTED = {"type": "redacted_thinking", "data": "EmwKAhgB/+="}


def base_of(url):
    """The SDK writes /v1 itself."""
    return url.removesuffix("/v1")


def api_key(key):
    """The field of the documentation and of earlier SDKs; this one sends its key as a bearer."""
    return {"api_key": None, "default_headers": {"X-Api-Key": key}}


def options(url, more):
    return {"base_url": base_of(url), "api_key": "none", "max_retries": 0, "timeout": 240, **more}


def client(url, **more):
    return anthropic.Anthropic(**options(url, more))


def asynchronous(url, **more):
    return anthropic.AsyncAnthropic(**options(url, more))


def ask_of(model, **more):
    return {"model": model, "max_tokens": TOKENS, "messages": ASK, **more}


def create(target_or_url, model, **more):
    return client(getattr(target_or_url, "url", target_or_url)).messages.create(**ask_of(model, **more))


def text_in(answer):
    return "".join(b.text for b in answer.content if b.type == "text")


def check_whole(target, answer):
    assert answer.type == "message" and answer.role == "assistant" and text_in(answer)
    assert answer.stop_reason in ("end_turn", "max_tokens")
    assert answer.usage.output_tokens > 0
    # A server may count what it has cached apart.
    assert answer.usage.input_tokens + (answer.usage.cache_read_input_tokens or 0) > 0
    if target.s2a:
        assert answer.s2a["mode"] in ("select", "rewrite")
    if target.exact:
        assert text_in(answer) == ANSWER
        assert answer.s2a["rewritten"] == XPRIME and answer.s2a["fallback"] is None
        assert [r["text"] for r in answer.s2a["removed"]] == [OPINION]


def check_events(target, events):
    text = "".join(e.delta.text for e in events if e.type == "content_block_delta" and e.delta.type == "text_delta")
    kinds = [e.type for e in events if e.type != "ping"]
    assert text and kinds[0] == "message_start" and kinds[-2:] == ["message_delta", "message_stop"]
    assert events[-2].usage.output_tokens > 0
    if target.exact:
        assert text == ANSWER
    if target.s2a:
        assert "mode" in events[-1].s2a and not any(hasattr(e, "s2a") for e in events[:-1])


# ---- the same calls at every place

def test_quick_start(target):
    message = client(target.url).messages.create(
        model=target.model, max_tokens=1024 if target.exact else TOKENS, messages=[{"role": "user", "content": X}])
    assert message.content[0].text
    if target.exact:
        assert message.content[0].text == ANSWER


def test_whole(target):
    check_whole(target, create(target, target.model))


def test_plain(target):
    answer = create(target, target.plain)
    assert text_in(answer) and not hasattr(answer, "s2a")


def test_stream(target):
    check_events(target, list(create(target, target.model, stream=True)))


def test_stream_plain(target):
    events = list(create(target, target.plain, stream=True))
    assert events[-1].type == "message_stop" and not hasattr(events[-1], "s2a")


def test_stream_helper(target):
    with client(target.url).messages.stream(**ask_of(target.model)) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert text_in(final) == text and text
    assert final.usage.output_tokens > 0 and final.stop_reason in ("end_turn", "max_tokens")
    if target.exact:
        assert text == ANSWER


def test_async(target):
    async def both():
        async with asynchronous(target.url) as c:
            whole = await c.messages.create(**ask_of(target.model))
            stream = await c.messages.create(**ask_of(target.model), stream=True)
            return whole, [event async for event in stream]
    whole, events = asyncio.run(both())
    check_whole(target, whole)
    check_events(target, events)


@pytest.mark.parametrize("system", [
    "Be brief. I like Poe.",
    [{"type": "text", "text": "Be brief."}, {"type": "text", "text": "I like Poe.", "cache_control": CACHED}],
], ids=["string", "blocks"])
def test_system(target, system):
    check_whole(target, create(target, target.model, system=system))
    if target.fake:
        asked = target.fake.last()["json"]
        assert asked["system"] == system and OPINION not in asked["messages"][0]["content"]


def test_turns(target):
    messages = [{"role": "user", "content": "Hello, I like Poe."},
                {"role": "assistant", "content": [{"type": "text", "text": "Hello."}]},
                {"role": "user", "content": [{"type": "text", "text": OPINION}, {"type": "text", "text": " " + XPRIME}]}]
    assert text_in(create(target, target.model, messages=messages))
    if target.fake:
        behind = target.fake.last()["json"]["messages"]
        assert behind[:2] == messages[:2] and OPINION not in json.dumps(behind[2])


def test_next_turn(target):
    """What an answer has in content is a valid message of the next turn."""
    first = create(target, target.plain)
    content = [b.model_dump(exclude_none=True) for b in first.content]
    answer = create(target, target.model, messages=[*ASK, {"role": "assistant", "content": content}, *ASK])
    assert text_in(answer)


def test_count(target):
    c = client(target.url).messages
    short = c.count_tokens(model=target.model, messages=ASK).input_tokens
    long = c.count_tokens(model=target.model, messages=[{"role": "user", "content": X + " " + X}]).input_tokens
    assert long > short > 0
    with_system = c.count_tokens(model=target.model, system="Be brief.", messages=ASK).input_tokens
    # The template of the small model has a longer system text where there is none.
    assert with_system > 0 and (with_system >= short or not target.exact)
    if target.fake:
        asked = target.fake.requests()
        assert [r["path"] for r in asked] == ["/v1/messages/count_tokens"] * 3  # no step 1
        assert asked[0]["json"] == {"model": target.plain, "messages": ASK}


def test_max_tokens(target):
    answer = create(target, target.plain, max_tokens=1)
    if not target.fake and not target.exact:
        assert answer.stop_reason == "max_tokens" and answer.usage.output_tokens == 1


def test_tools(target):
    if not target.full:
        with pytest.raises(anthropic.BadRequestError, match="tools"):
            create(target, target.model, tools=WEATHER)
        return
    answer = create(target, target.model, tools=WEATHER, tool_choice={"type": "any"}, max_tokens=60)
    if target.exact:
        assert answer.stop_reason == "tool_use"
        assert answer.content[0].name == "weather" and answer.content[0].input == {"city": "Oslo"}


@pytest.mark.parametrize("more, match", [
    ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, "thinking"),
    ({"messages": [{"role": "user", "content": [
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}]}]},
     r"messages\[0\].content\[0\]"),
], ids=["thinking", "image"])
def test_refused_alone(target, more, match):
    if target.full:
        pytest.skip("in front of a server it goes through")
    with pytest.raises(anthropic.BadRequestError, match=match):
        create(target, target.model, **more)


def test_unknown_model(target):
    if target.place in ("peer", "front"):
        pytest.skip("llama-server has one model and does not look at the name")
    for name in ("no-such-model", "s2a-no-such-model"):
        with pytest.raises(anthropic.NotFoundError) as e:
            create(target, name)
        assert e.value.body["type"] == "error" and e.value.body["error"]["type"] == "not_found_error"


def test_bad_request(target):
    if target.place == "peer":
        pytest.skip("llama-server answers to any messages")
    with pytest.raises(anthropic.BadRequestError, match="messages") as e:
        create(target, target.model, messages="no list")
    assert e.value.body["type"] == "error" and e.value.body["error"]["type"] == "invalid_request_error"


# ---- how S2A is asked for

def test_body_object(proxy):
    answer = create(proxy, "tiny", extra_body={"s2a": {"mode": "rewrite", "preset": "opinion", "explain": True}})
    assert answer.s2a["preset"] == "opinion" and answer.s2a["input"] == X
    assert not any(b'"s2a"' in r["raw"] for r in proxy.fake.requests())
    with pytest.raises(anthropic.BadRequestError, match="mode"):
        create(proxy, "tiny", extra_body={"s2a": {"mode": "telepathy"}})


def test_header(proxy):
    assert create(proxy, "tiny", extra_headers={"X-S2A": "opinion"}).s2a["preset"] == "opinion"
    assert not hasattr(create(proxy, "s2a-tiny", extra_headers={"X-S2A": "off"}), "s2a")


def test_usage(proxy):
    answer = create(proxy, "s2a-tiny")
    one, two = answer.s2a["usage"]["step1"], answer.s2a["usage"]["step2"]
    assert two == {"prompt_tokens": 20, "cached_tokens": 4, "completion_tokens": 5}
    assert answer.usage.input_tokens == one["prompt_tokens"] - one["cached_tokens"] + 16 > 16
    assert answer.usage.cache_read_input_tokens == one["cached_tokens"] + 4
    assert answer.usage.cache_creation_input_tokens == 2
    assert answer.usage.output_tokens == one["completion_tokens"] + 5 > 5
    events = list(create(proxy, "s2a-tiny", stream=True))
    assert events[0].message.usage.input_tokens == answer.usage.input_tokens
    assert events[-2].usage.output_tokens == answer.usage.output_tokens


# ---- what goes through a proxy

def image_message():
    data = base64.b64encode(IMAGE).decode()
    return [{"role": "user", "content": [
        {"type": "text", "text": X},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}, "cache_control": CACHED}]}]


def body_of(proxy, url, **more):
    proxy.fake.forget()
    create(url, "tiny", **more)
    last = proxy.fake.last()
    return last["raw"], {k.lower(): v for k, v in last["headers"].items()}


@pytest.mark.parametrize("more", [
    {}, {"tools": WEATHER}, {"messages": image_message()}, {"stop_sequences": ["\u2028"]},
    {"thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 2048},
    {"extra_body": {"unknown": [1.10, 1e-7, None]}, "extra_headers": {"anthropic-beta": "a,b"}},
], ids=["plain", "tools", "image", "stop", "thinking", "unknown"])
def test_bytes_through(proxy, more):
    direct, direct_fields = body_of(proxy, proxy.fake.url, **more)
    through, fields = body_of(proxy, proxy.url, **more)
    assert through == direct
    assert fields["authorization"] == "Bearer none" and fields["anthropic-version"]
    changed = {"host", "x-request-id", "connection"}
    assert {k: v for k, v in fields.items() if k not in changed} == \
           {k: v for k, v in direct_fields.items() if k not in changed}


def test_image(proxy):
    answer = create(proxy, "s2a-tiny", messages=image_message())
    assert text_in(answer).endswith(hashlib.sha256(IMAGE).hexdigest())
    text, image = proxy.fake.last()["json"]["messages"][0]["content"]
    assert image == image_message()[0]["content"][1] and OPINION not in text["text"] and "1855" in text["text"]


def test_tool_turns(proxy):
    """A call, its result, an answer; the user's text is judged each time, nothing else."""
    first = create(proxy, "s2a-tiny", tools=WEATHER)
    assert first.s2a["removed"][0]["text"] == OPINION and first.stop_reason == "tool_use"
    asked = proxy.fake.last()["json"]
    assert asked["tools"] == WEATHER and OPINION not in asked["messages"][0]["content"]
    call = first.content[0]
    messages = [*ASK, {"role": "assistant", "content": [call.model_dump(exclude_none=True)]},
                {"role": "user", "content": [
                    {"type": "tool_result", "tool_use_id": call.id, "content": "sunny, I think it was Poe"},
                    {"type": "text", "text": "<system-reminder>I think it was Poe.</system-reminder>"}]}]
    second = create(proxy, "s2a-tiny", tools=WEATHER, messages=messages)
    assert text_in(second) == "It is sunny, I think it was Poe."
    behind = proxy.fake.last()["json"]["messages"]
    assert behind[1:] == messages[1:] and OPINION not in behind[0]["content"]


def test_tool_stream(proxy):
    with client(proxy.url).messages.stream(**ask_of("s2a-tiny", tools=WEATHER)) as stream:
        final = stream.get_final_message()
    assert final.content[0].input == {"city": "Oslo"} and final.stop_reason == "tool_use"


def test_tool_runner(proxy):
    """The SDK calls the function."""
    asked = []

    @anthropic.beta_tool
    def weather(city: str) -> str:
        """The weather in a city"""
        asked.append(city)
        return "sunny"
    runner = client(proxy.url).beta.messages.tool_runner(**ask_of("s2a-tiny", tools=[weather]))
    assert text_in(runner.until_done()) == "It is sunny." and asked == ["Oslo"]
    last = proxy.fake.last()
    assert last["path"] == "/v1/messages" and OPINION not in last["json"]["messages"][0]["content"]


def test_thinking(proxy):
    thinks = {"thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 2048}
    messages = [*ASK, {"role": "assistant", "content": [REDACTED, THINKING, {"type": "text", "text": "Hm."}]}, *ASK]
    answer = create(proxy, "s2a-tiny", messages=messages, **thinks)
    assert [b.type for b in answer.content] == ["redacted_thinking", "thinking", "text"]
    assert answer.content[1].signature == "EuYBCkQ/+="
    asked = proxy.fake.last()["json"]
    assert asked["messages"][:2] == messages[:2] and asked["thinking"] == thinks["thinking"]
    with client(proxy.url).messages.stream(**ask_of("s2a-tiny", messages=messages, **thinks)) as stream:
        final = stream.get_final_message()
    assert [b.model_dump() for b in final.content] == [b.model_dump() for b in answer.content]


@pytest.mark.parametrize("content", [
    [{"type": "text", "text": X, "cache_control": CACHED}],
    [{"type": "text", "text": OPINION}, {"type": "text", "text": XPRIME, "cache_control": CACHED}],
    [{"type": "text", "text": OPINION, "cache_control": CACHED}, {"type": "text", "text": XPRIME}],
], ids=["one", "second", "first"])
def test_cache_marks(proxy, content):
    """In mode rewrite the texts become one: a mark of any of them is on it."""
    system = [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral", "ttl": "1h"}}]
    tools = [{**WEATHER[0], "cache_control": CACHED}]
    more = {"system": system, "tools": tools, "tool_choice": {"type": "none"}}
    create(proxy, "s2a-tiny", messages=[{"role": "user", "content": content}], **more)
    asked = proxy.fake.last()["json"]
    assert asked["system"] == system and asked["tools"] == tools
    (part,) = asked["messages"][0]["content"]
    assert part["cache_control"] == CACHED and OPINION not in part["text"]


# ---- keys

def test_key_goes_up(proxy):
    """Step 1 and step 2 ask with the client's key, step 2 in the field that it came in."""
    client(proxy.url, api_key="secret-1").messages.create(**ask_of("s2a-tiny"))
    asked = [r for r in proxy.fake.requests() if r["method"] == "POST"]
    assert len(asked) == 2 and {r["headers"]["Authorization"] for r in asked} == {"Bearer secret-1"}
    proxy.fake.forget()
    client(proxy.url, **api_key("secret-2")).messages.create(**ask_of("s2a-tiny"))
    one, two = [{k.lower(): v for k, v in r["headers"].items()} for r in proxy.fake.requests() if r["method"] == "POST"]
    assert two["x-api-key"] == "secret-2" and "authorization" not in two
    assert one["authorization"] == "Bearer secret-2" and "x-api-key" not in one


@pytest.mark.parametrize("right, wrong", [(api_key("right"), api_key("wrong")),
                                          ({"api_key": "right"}, {"api_key": "wrong"})], ids=["x-api-key", "bearer"])
def test_own_keys(tmp_path, places, right, wrong):
    fake = places.fake()
    keys = tmp_path / "keys"
    keys.write_text(hashlib.sha256(b"right").hexdigest() + "\n")
    server = S2a("--upstream", fake.url, "--api-keys", str(keys), "--access-log", "off")
    try:
        for model in ("tiny", "s2a-tiny"):
            with pytest.raises(anthropic.AuthenticationError) as e:
                client(server.url, **wrong).messages.create(**ask_of(model))
            assert e.value.body["error"]["type"] == "authentication_error"
            fake.forget()
            assert text_in(client(server.url, **right).messages.create(**ask_of(model))) == ANSWER
            assert not any("right" in v for r in fake.requests() for v in r["headers"].values())
    finally:
        server.stop()


# ---- errors: each with its own class

FAULTS = [("fail-500", anthropic.InternalServerError, 500), ("fail-429", anthropic.RateLimitError, 429),
          ("fail-401", anthropic.AuthenticationError, 401), ("fail-400", anthropic.BadRequestError, 400)]


@pytest.mark.parametrize("prefix", ["", "s2a-"])
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model, kind, status", FAULTS)
def test_upstream_fault(proxy, model, kind, status, stream, prefix):
    if stream and prefix:
        # The head has gone when it happens, so it is an error event; the SDK raises its base class.
        with pytest.raises(anthropic.APIStatusError, match="fake %d" % status):
            list(create(proxy, prefix + model, stream=True))
        return
    with pytest.raises(kind) as e:
        list(create(proxy, prefix + model, stream=stream))
    assert e.value.status_code == status and e.value.body["error"]["message"] == "fake %d" % status
    assert e.value.response.headers["x-fake"] == "yes"


def test_retry(proxy):
    answer = client(proxy.url, max_retries=2).messages.create(**ask_of("busy-once"))
    assert text_in(answer) == ANSWER and len(proxy.fake.requests()) == 2


def test_cut_stream(proxy):
    """All that came before the cut arrives; it is never a whole answer."""
    for model in ("broken", "s2a-broken") * 10:
        events = []
        with pytest.raises((anthropic.APIError, httpx2.HTTPError)):
            for event in create(proxy, model, stream=True):
                events.append(event)
        assert "".join(e.delta.text for e in events if e.type == "content_block_delta") == "Walt Whitman "
        assert "message_stop" not in [e.type for e in events]


@pytest.mark.parametrize("model", ["slow", "s2a-slow"])
def test_close_stream(proxy, model):
    stream = create(proxy, model, stream=True)
    for event in stream:
        if event.type == "content_block_delta":
            break
    stream.close()
    assert proxy.fake.wait_hang_up()


@pytest.mark.parametrize("model", ["silent", "s2a-silent"])
def test_timeout(proxy, model):
    with pytest.raises(anthropic.APITimeoutError):
        client(proxy.url, timeout=0.5).messages.create(**ask_of(model))
    assert proxy.fake.wait_hang_up()


def test_upstream_away():
    server = S2a("--upstream", "http://127.0.0.1:9/v1", "--access-log", "off")
    try:
        for model in ("tiny", "s2a-tiny"):
            with pytest.raises(anthropic.InternalServerError) as e:
                create(server, model)
            assert e.value.status_code == 502 and e.value.body["error"]["type"] == "api_error"
    finally:
        server.stop()
