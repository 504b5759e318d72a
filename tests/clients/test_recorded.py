"""Conversations of two coding agents, replayed as HTTP: what arrives at the server behind, and what comes back.

recorded/NAME.json has the path, the header fields and the requests, in turn. Of each request: the body, the index of the
message with the question, what step 1 says of it, a sentence that goes and one that stays, and the events of the answer.
"""
import copy
import http.client
import json
import os
import re
import pathlib
import threading
import types
import urllib.parse

import pytest

import fake_openai
from servers import HERE, S2a, small_model

RECORDED = {p.stem: json.loads(p.read_text()) for p in sorted((HERE / "recorded").glob("*.json"))}
TURNS = [(name, turn) for name, r in RECORDED.items() for turn in range(len(r["requests"]))]
IDS = ["%s-%d" % t for t in TURNS]
JUDGE = "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf"
# The events that have usage or the s2a object in them.
OURS = {"response.completed", "message_start", "message_delta", "message_stop"}


def event_bytes(event):
    """Not as a serialiser of ours would write it."""
    return "event: %s\ndata: %s\n\n" % (event["type"], json.dumps(event, separators=(" , ", " : ")))


class Replay(fake_openai.Handler):
    """Answers with the events of turn; a request of step 1 with what it is to say."""
    turn = None

    def answer(self, body, record):
        if self.path == "/v1/chat/completions":
            head = {"id": "c", "object": "chat.completion", "created": 1, "model": body["model"]}
            message = {"role": "assistant", "content": type(self).turn["step1"]}
            self.send_json(200, {**head, "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
                                 "usage": {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}})
            return
        self.begin_stream()
        for event in type(self).turn["events"]:
            self.piece(event_bytes(event))
        self.wfile.write(b"0\r\n\r\n")


@pytest.fixture(scope="module")
def behind():
    store = fake_openai.Store()
    handler = type("Bound", (Replay,), {"store": store})
    server = fake_openai.Server(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield types.SimpleNamespace(url="http://127.0.0.1:%d/v1" % server.server_port, store=store, handler=handler)
    server.shutdown()


@pytest.fixture(scope="module")
def rewriting(behind):
    server = S2a("--upstream", behind.url, "--access-log", "off")
    yield server.url
    server.stop()


@pytest.fixture(scope="module")
def embedded_judge(behind):
    """A model here says what goes (mode select)."""
    path = pathlib.Path(small_model() or "/").parent / JUDGE
    if not path.is_file():
        pytest.skip("missing is the judge's model: s2a pull 0.5b")
    server = S2a("--upstream", behind.url, "--access-log", "off", "--select-model", str(path))
    yield server.url
    server.stop()


def send(url, recorded, raw):
    """(status, bytes) of the answer to a body."""
    at = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(at.hostname, at.port, timeout=120)
    connection.request("POST", recorded["path"], body=raw, headers=recorded["headers"])
    answer = connection.getresponse()
    whole = answer.status, answer.read()
    connection.close()
    return whole


def replay(behind, url, name, turn, raw=None, **more):
    """The answer, and what arrived: its record, its body, and that of step 1."""
    recorded = RECORDED[name]
    asked = recorded["requests"][turn]
    behind.store.forget()
    behind.handler.turn = asked
    body = {**asked["body"], "model": "s2a-" + asked["body"]["model"], **more}
    status, answer = send(url, recorded, raw or json.dumps(body).encode())
    assert status == 200, answer
    record = behind.store.list()[-1]
    assert record["path"] == recorded["path"]
    return answer, record, json.loads(record["body"].encode("latin-1"))


# ---- what is compared

def messages_of(body):
    return body["input"] if "input" in body else body["messages"]


def is_text(part):
    return part["type"] in ("text", "input_text")


ELEMENT = re.compile(r"\s*<([\w.:-]+)[^>]*>.*</\1>\s*", re.S)


def own(message):
    """The parts of text that are judged: an element as a whole beside other text is not the user's."""
    parts = [p for p in message["content"] if is_text(p)]
    words = [p for p in parts if not ELEMENT.fullmatch(p["text"])]
    return words or parts


def texts(message):
    return [p["text"] for p in own(message)]


def is_judged(message):
    """The user's: what stands beside results of tools is not."""
    return message.get("role") == "user" and not any(p["type"] == "tool_result" for p in message["content"])


def rest_of(body, judged):
    """The body as JSON, without the texts that step 1 may change."""
    body = copy.deepcopy(body)
    for index in judged:
        message = messages_of(body)[index]
        judged_parts = own(message)
        message["content"] = [p for p in message["content"] if p not in judged_parts]
    return json.dumps(body)


def marks(message):
    return [p["cache_control"] for p in message["content"] if "cache_control" in p]


def events_of(answer):
    return [e + "\n\n" for e in answer.decode().split("\n\n") if e and not e.startswith(":")]


def data_of(event):
    return json.loads(event.split("data: ", 1)[1])


def without_ours(event):
    event = copy.deepcopy(event)
    event.pop("s2a", None)
    for holder in (event, event.get("response"), event.get("message")):
        if isinstance(holder, dict):
            holder.pop("s2a", None)
            holder.pop("usage", None)
    return json.dumps(event)


def check_events(answer, asked):
    """All pass as they were, but for usage and the s2a object, which is returned."""
    came = events_of(answer)
    assert len(came) == len(asked["events"])
    for got, sent in zip(came, asked["events"]):
        if sent["type"] in OURS:
            assert without_ours(data_of(got)) == without_ours(sent)
        else:
            assert got == event_bytes(sent)
    return data_of(came[-1])["s2a"]


# ---- without S2A

@pytest.mark.parametrize("name, turn", TURNS, ids=IDS)
def test_bytes(behind, rewriting, name, turn):
    """However it is written, it arrives so, and so does its answer."""
    asked = RECORDED[name]["requests"][turn]
    for raw in (json.dumps(asked["body"]), json.dumps(asked["body"], indent=1),
                json.dumps(asked["body"], separators=(",", ":"), sort_keys=True)):
        answer, record, _ = replay(behind, rewriting, name, turn, raw.encode())
        assert record["body"] == raw
        assert answer.decode() == "".join(event_bytes(e) for e in asked["events"])
        sent = {k.lower(): v for k, v in RECORDED[name]["headers"].items()}
        came = {k.lower(): v for k, v in record["headers"].items()}
        assert {k: v for k, v in came.items() if k in sent} == sent
    assert len(behind.store.list()) == 1


# ---- with S2A

@pytest.mark.parametrize("name, turn", TURNS, ids=IDS)
def test_rewritten(behind, rewriting, name, turn):
    """Mode rewrite: the question's text is another; nothing else is."""
    asked = RECORDED[name]["requests"][turn]
    answer, record, body = replay(behind, rewriting, name, turn)
    index = asked["question"]
    assert rest_of(body, [index]) == rest_of(asked["body"], [index])
    old, new = (messages_of(b)[index] for b in (asked["body"], body))
    assert asked["removed"] in "".join(texts(old)) and asked["removed"] not in "".join(texts(new))
    assert asked["kept"] in "".join(texts(new))
    assert marks(new) == marks(old)
    s2a = check_events(answer, asked)
    assert s2a["mode"] == "rewrite" and s2a["fallback"] is None
    sent = {k.lower(): v for k, v in RECORDED[name]["headers"].items()}
    came = {k.lower(): v for k, v in record["headers"].items()}
    assert {k: v for k, v in came.items() if k in sent} == sent


def check_removed(asked, body, index, removed):
    """The message has what s2a.removed leaves of it."""
    old, new = (messages_of(b)[index] for b in (asked["body"], body))
    left = "\n".join(texts(old)).encode()
    for span in sorted(removed, key=lambda r: -r["start"]):
        assert left[span["start"]:span["end"]].decode() == span["text"]
        left = left[:span["start"]] + left[span["end"]:]
    assert "".join("".join(texts(new)).split()) == "".join(left.decode().split())
    assert marks(new) == marks(old)


@pytest.mark.parametrize("name", RECORDED)
def test_selected(behind, embedded_judge, name):
    """Mode select: of the user's texts some sentences are gone, nothing else; each body begins as the one before it."""
    before, gone = [], 0
    for turn, asked in enumerate(RECORDED[name]["requests"]):
        answer, _, body = replay(behind, embedded_judge, name, turn, s2a={"keep": 0.5})
        messages = messages_of(asked["body"])
        judged = [i for i, m in enumerate(messages) if is_judged(m)]
        assert rest_of(body, judged) == rest_of(asked["body"], judged)
        s2a = check_events(answer, asked)
        assert s2a["mode"] == "select" and s2a["fallback"] is None
        for index in judged:
            check_removed(asked, body, index, [r for r in s2a["removed"] if r["message"] == index])
        gone += len(s2a["removed"])
        now = [json.loads(json.dumps(m), object_hook=without_mark) for m in messages_of(body)]
        assert now[:len(before)] == before
        before = now
        if os.environ.get("S2A_SHOW"):
            print(json.dumps(s2a["removed"], indent=1))
    assert gone > 0


def without_mark(value):
    return {k: v for k, v in value.items() if k != "cache_control"}
