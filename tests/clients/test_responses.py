"""OpenAI's own SDK for Python: the Responses API."""
import asyncio
import hashlib
import json

import httpx2
import openai
import pydantic
import pytest

from openai_sdk import IMAGE, IMAGE_URL, asynchronous, check_upstream_fault, client, faults
from servers import ANSWER, OPINION, S2a, X, XPRIME

TOKENS = 16
try:
    import httpx  # below earlier SDKs
    BROKEN = (httpx.HTTPError, httpx2.HTTPError)
except ImportError:
    BROKEN = (httpx2.HTTPError,)
WEATHER = [{"type": "function", "name": "weather", "description": "The weather in a city", "strict": True,
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"],
                           "additionalProperties": False}}]
REASONING = {"id": "rs_0", "type": "reasoning", "summary": [{"type": "summary_text", "text": "I hate it."}],
             "encrypted_content": "gAAAAA/+=\u00e9" * 500}


def create(target_or_url, model, **more):
    url = getattr(target_or_url, "url", target_or_url)
    return client(url).responses.create(**{"model": model, "input": X, "max_output_tokens": TOKENS, **more})


def check_whole(target, answer):
    assert answer.object == "response" and answer.status in ("completed", "incomplete")
    assert answer.output_text and answer.output[-1].role == "assistant"
    usage = answer.usage
    assert usage.input_tokens > 0 and usage.total_tokens == usage.input_tokens + usage.output_tokens
    if target.s2a:
        assert answer.s2a["mode"] in ("select", "rewrite")
        assert answer.model_extra["s2a"] == answer.s2a
    if target.exact:
        assert answer.output_text == ANSWER
        assert answer.s2a["rewritten"] == XPRIME and answer.s2a["fallback"] is None
        assert [r["text"] for r in answer.s2a["removed"]] == [OPINION]
        assert usage.output_tokens_details.reasoning_tokens > 0


def check_events(target, events):
    text = "".join(e.delta for e in events if e.type == "response.output_text.delta")
    done = [e.text for e in events if e.type == "response.output_text.done"]
    last = events[-1]
    assert events[0].type == "response.created"
    assert last.type in ("response.completed", "response.incomplete")
    assert "".join(done) == text == last.response.output_text
    if target.s2a:
        assert last.s2a == last.response.s2a
        assert [e.sequence_number for e in events] == list(range(len(events))) or target.place == "front"
        assert not any(hasattr(e, "s2a") for e in events[:-1])
    check_whole(target, last.response)


# ---- the same calls at every place

def test_quick_start(target):
    more = {} if target.exact else {"max_output_tokens": TOKENS}
    response = client(target.url).responses.create(model=target.model, input=X, **more)
    assert response.output_text
    if target.exact:
        assert response.output_text == ANSWER


def test_whole(target):
    check_whole(target, create(target, target.model))


def test_plain(target):
    answer = create(target, target.plain)
    assert answer.output_text and not hasattr(answer, "s2a")


def test_stream(target):
    check_events(target, list(create(target, target.model, stream=True)))


def test_stream_plain(target):
    events = list(create(target, target.plain, stream=True))
    assert events[-1].response.output_text and not hasattr(events[-1], "s2a")


def test_stream_helper(target):
    with client(target.url).responses.stream(model=target.model, input=X, max_output_tokens=TOKENS) as stream:
        if target.place in ("peer", "front"):
            with pytest.raises((AttributeError, TypeError)):  # llama-server's response.created has no output, which the helper needs
                list(stream)
            return
        text = "".join(e.delta for e in stream if e.type == "response.output_text.delta")
        try:
            final = stream.get_final_response()
        except RuntimeError:
            assert text and not target.exact  # what the helper does about an answer that is cut by its tokens
            return
    assert final.output_text == text
    check_whole(target, final)


def test_async(target):
    async def both():
        async with asynchronous(target.url) as c:
            ask = {"model": target.model, "input": X, "max_output_tokens": TOKENS}
            whole = await c.responses.create(**ask)
            stream = await c.responses.create(**ask, stream=True)
            return whole, [event async for event in stream]
    whole, events = asyncio.run(both())
    check_whole(target, whole)
    check_events(target, events)


def test_instructions(target):
    answer = create(target, target.model, instructions="Be brief. I like Poe.")
    check_whole(target, answer)
    if target.fake:
        asked = target.fake.last()["json"]
        assert asked["instructions"] == "Be brief. I like Poe." and OPINION not in asked["input"]


def test_items(target):
    items = [{"role": "developer", "content": "Be brief."}, {"role": "user", "content": "Hello, I like Poe."},
             {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hello."}]},
             {"type": "message", "role": "user", "content": [{"type": "input_text", "text": OPINION},
                                                             {"type": "input_text", "text": " " + XPRIME}]}]
    answer = create(target, target.model, input=items)
    assert answer.output_text
    if target.fake:
        behind = target.fake.last()["json"]["input"]
        assert behind[:3] == items[:3] and OPINION not in json.dumps(behind[3])


def test_next_turn(target):
    """What an answer has in output is a valid input of the next turn."""
    first = create(target, target.plain)
    items = [{"role": "user", "content": X}, *[o.model_dump(exclude_none=True) for o in first.output],
             {"role": "user", "content": X}]
    assert create(target, target.model, input=items).output_text


def test_count(target):
    counted = client(target.url).responses.input_tokens.count(model=target.model, input=X)
    assert counted.object == "response.input_tokens" and counted.input_tokens > 0


def test_previous_response(target):
    if target.place in ("script", "embedded"):
        with pytest.raises(openai.BadRequestError, match="previous_response_id"):
            create(target, target.model, previous_response_id="resp_0")
    elif target.fake:
        answer = create(target, target.model, previous_response_id="resp_0")
        check_whole(target, answer)
        assert target.fake.last()["json"]["previous_response_id"] == "resp_0"
        assert answer.previous_response_id == "resp_0"
        assert client(target.url).responses.retrieve("resp_1").output_text == ANSWER
    else:
        with pytest.raises(openai.APIStatusError):  # llama-server stores none
            create(target, target.model, previous_response_id="resp_0")


def test_tools(target):
    if not target.full:
        with pytest.raises(openai.BadRequestError, match="tools"):
            create(target, target.model, tools=WEATHER)
        return
    answer = create(target, target.model, tools=WEATHER, tool_choice="required", max_output_tokens=40)
    if target.exact:
        call = answer.output[0]
        assert call.type == "function_call" and call.name == "weather"
        assert json.loads(call.arguments) == {"city": "Oslo"}


def test_image_refused(target):
    if target.full:
        pytest.skip("in front of a server: test_image")
    with pytest.raises(openai.BadRequestError, match=r"input\[0\].content\[1\]"):
        create(target, target.model, input=image_item())


def test_unknown_model(target):
    if target.place in ("peer", "front"):
        pytest.skip("llama-server has one model and does not look at the name")
    for name in ("no-such-model", "s2a-no-such-model"):
        with pytest.raises(openai.NotFoundError) as e:
            create(target, name)
        assert e.value.status_code == 404 and e.value.body["message"]


def test_bad_request(target):
    with pytest.raises(openai.BadRequestError) as e:
        create(target, target.model, input=7)
    assert e.value.body["message"]


# ---- how S2A is asked for

def test_body_object(proxy):
    answer = create(proxy, "tiny", extra_body={"s2a": {"mode": "rewrite", "preset": "opinion", "explain": True}})
    assert answer.s2a["preset"] == "opinion" and answer.s2a["input"] == X
    assert not any(b'"s2a"' in r["raw"] for r in proxy.fake.requests())
    hidden = create(proxy, "tiny", extra_body={"s2a": {"show": "none"}})
    assert "rewritten" not in hidden.s2a
    with pytest.raises(openai.BadRequestError, match="mode"):
        create(proxy, "tiny", extra_body={"s2a": {"mode": "telepathy"}})


def test_header(proxy):
    answer = create(proxy, "tiny", extra_headers={"X-S2A": "opinion"})
    assert answer.s2a["preset"] == "opinion"
    assert not hasattr(create(proxy, "s2a-tiny", extra_headers={"X-S2A": "off"}), "s2a")


def test_usage(proxy):
    answer = create(proxy, "s2a-tiny")
    one, two = answer.s2a["usage"]["step1"], answer.s2a["usage"]["step2"]
    assert two == {"prompt_tokens": 20, "cached_tokens": 4, "completion_tokens": 5}
    assert answer.usage.input_tokens == one["prompt_tokens"] + 20 > 20
    assert answer.usage.input_tokens_details.cached_tokens == one["cached_tokens"] + 4
    assert answer.usage.output_tokens == one["completion_tokens"] + 5
    assert answer.usage.output_tokens_details.reasoning_tokens == one["completion_tokens"] > 0


# ---- what goes through a proxy

def image_item():
    return [{"role": "user", "content": [{"type": "input_text", "text": X},
                                         {"type": "input_image", "image_url": IMAGE_URL, "detail": "auto"}]}]


def body_of(proxy, url, **more):
    proxy.fake.forget()
    create(url, "tiny", **more)
    last = proxy.fake.last()
    return last["raw"], {k.lower(): v for k, v in last["headers"].items()}


@pytest.mark.parametrize("more", [
    {}, {"tools": WEATHER}, {"input": image_item()}, {"input": [REASONING, {"role": "user", "content": "\u2028?"}]},
    {"previous_response_id": "resp_0", "store": False, "include": ["reasoning.encrypted_content"],
     "extra_body": {"unknown": [1.10, 1e-7, None]}},
], ids=["plain", "tools", "image", "reasoning", "unknown"])
def test_bytes_through(proxy, more):
    direct, direct_fields = body_of(proxy, proxy.fake.url, **more)
    through, fields = body_of(proxy, proxy.url, **more)
    assert through == direct
    changed = {"host", "x-request-id", "connection"}
    assert {k: v for k, v in fields.items() if k not in changed} == \
           {k: v for k, v in direct_fields.items() if k not in changed}


def test_image(proxy):
    answer = create(proxy, "s2a-tiny", input=image_item())
    assert answer.output_text.endswith(hashlib.sha256(IMAGE).hexdigest())
    text, image = proxy.fake.last()["json"]["input"][0]["content"]
    assert image == image_item()[0]["content"][1] and OPINION not in text["text"] and "1855" in text["text"]


def test_tool_turns(proxy):
    """Reasoning, a call, its result, an answer; the user's text is judged each time, nothing else."""
    ask = {"tools": WEATHER, "reasoning": {"effort": "low"}, "include": ["reasoning.encrypted_content"]}
    first = create(proxy, "s2a-tiny", **ask)
    assert first.s2a["removed"][0]["text"] == OPINION
    reasoning, call = first.output
    assert reasoning.encrypted_content == "gAAAAA/+=\u00e9"
    asked = proxy.fake.last()["json"]
    assert asked["tools"] == WEATHER and OPINION not in asked["input"] and asked["include"] == ask["include"]
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "sunny, I think it was Poe"}
    items = [{"role": "user", "content": X}, *[o.model_dump(exclude_none=True) for o in first.output], result]
    second = create(proxy, "s2a-tiny", input=items, **ask)
    assert second.output_text == "It is sunny, I think it was Poe."
    behind = proxy.fake.last()["json"]["input"]
    assert behind[1:] == items[1:] and OPINION not in behind[0]["content"]


def test_tool_stream(proxy):
    events = list(create(proxy, "s2a-tiny", tools=WEATHER, stream=True))
    pieces = [e.delta for e in events if e.type == "response.function_call_arguments.delta"]
    assert json.loads("".join(pieces)) == {"city": "Oslo"}
    assert events[-1].response.output[0].name == "weather"
    assert events[-1].s2a["fallback"] is None


@pytest.mark.parametrize("prefix", ["", "s2a-"])
def test_reasoning_bytes(proxy, prefix):
    items = [REASONING, {"role": "user", "content": X}]
    create(proxy, prefix + "tiny", input=items)
    raw = proxy.fake.last()["raw"].decode()
    assert json.loads(raw)["input"][0] == REASONING
    assert json.dumps(REASONING["encrypted_content"], ensure_ascii=False) in raw


def test_parsed(proxy):
    class Poem(pydantic.BaseModel):
        author: str
        year: int
    answer = client(proxy.url).responses.parse(model="s2a-tiny", input=X, text_format=Poem)
    assert answer.output_parsed == Poem(author="Walt Whitman", year=1855)
    assert proxy.fake.last()["json"]["text"]["format"]["type"] == "json_schema"


# ---- errors: each with its own class

@pytest.mark.parametrize("prefix", ["", "s2a-"])
@pytest.mark.parametrize("stream", [False, True])
@faults
def test_upstream_fault(proxy, model, kind, status, stream, prefix):
    check_upstream_fault(create, proxy, prefix + model, kind, status, stream)


def test_cut_stream(proxy):
    """All that came before the cut arrives; it is never a whole answer."""
    for model in ("broken", "s2a-broken") * 10:
        events = []
        with pytest.raises((openai.APIError, *BROKEN)):
            for event in create(proxy, model, stream=True):
                events.append(event)
        assert "".join(e.delta for e in events if e.type == "response.output_text.delta") == "Walt Whitman "
        assert "response.completed" not in [e.type for e in events]


@pytest.mark.parametrize("model", ["slow", "s2a-slow"])
def test_close_stream(proxy, model):
    stream = create(proxy, model, stream=True)
    for event in stream:
        if event.type == "response.output_text.delta":
            break
    stream.close()
    assert proxy.fake.wait_hang_up()


@pytest.mark.parametrize("model", ["silent", "s2a-silent"])
def test_timeout(proxy, model):
    with pytest.raises(openai.APITimeoutError):
        client(proxy.url, timeout=0.5).responses.create(model=model, input=X)
    assert proxy.fake.wait_hang_up()


def test_own_keys(tmp_path, places):
    keys = tmp_path / "keys"
    keys.write_text(hashlib.sha256(b"right").hexdigest() + "\n")
    server = S2a("--upstream", places.fake().url, "--api-keys", str(keys), "--access-log", "off")
    try:
        for model in ("tiny", "s2a-tiny"):
            with pytest.raises(openai.AuthenticationError):
                client(server.url, api_key="wrong").responses.create(model=model, input=X)
            answer = client(server.url, api_key="right").responses.create(model=model, input=X)
            assert answer.output_text == ANSWER
    finally:
        server.stop()
