#!/usr/bin/env python3
"""A small OpenAI server for the tests of clients. It keeps every request as it came, byte for byte.

The model's name says how it behaves:
    tiny        answers
    slow        a stream of many words, a moment apart; ends when the client has gone
    silent      never answers; nor does step 1
    fail-500, fail-429, fail-401, fail-400   that status, with an error object
    busy-once   429 to the first request, an answer to the next
    broken      a stream that is cut after two words
    anything else is 404

/v1/responses and /v1/messages are in fake_apis.py. tiny answers to what the request has: a tool that may be called is called, a tool's result is
told, response_format gives JSON, an image is described by its bytes' hash. For a prompt of step 1
it writes what the method asks a model for.

    GET /_requests      what came: [{"method", "path", "headers", "body", "hung_up"}]; body as latin-1
    DELETE /_requests   forgets it
"""
import argparse
import base64
import hashlib
import http.server
import json
import select
import socket
import threading
import time

import fake_apis

MODELS = ("tiny", "slow", "silent", "fail-500", "fail-429", "fail-401", "fail-400", "busy-once", "broken")
STEP1_MARK = "Given the following text by a user"
STEP1_ANSWER = "Unbiased text context: The poem is from 1855.\n\nQuestion/Query: Who wrote it?"
ANSWER = fake_apis.ANSWER
TYPES = {400: "invalid_request_error", 401: "authentication_error", 404: "not_found_error",
         429: "rate_limit_error", 500: "server_error"}
SILENCE_S = 30


class Store:
    """Requests and what became of them, for all threads."""

    def __init__(self):
        self.lock = threading.Lock()
        self.requests = []
        self.busy_seen = False

    def add(self, request):
        with self.lock:
            self.requests.append(request)

    def forget(self):
        with self.lock:
            self.requests.clear()
            self.busy_seen = False

    def list(self):
        with self.lock:
            return [dict(r) for r in self.requests]

    def busy(self):
        """True the first time."""
        with self.lock:
            first = not self.busy_seen
            self.busy_seen = True
            return first


def text_of(message):
    content = message.get("content") or ""
    if isinstance(content, str):
        return content
    return "\n".join(p.get("text", "") for p in content if p.get("type") == "text")


def images_of(message):
    content = message.get("content")
    if not isinstance(content, list):
        return []
    return [p["image_url"]["url"] for p in content if p.get("type") == "image_url"]


def tool_call(tools):
    """A call of the first tool, with a value for each of its parameters."""
    function = tools[0]["function"]
    arguments = fake_apis.arguments_for(function.get("parameters", {}))
    return {"id": "call_1", "type": "function",
            "function": {"name": function["name"], "arguments": json.dumps(arguments)}}


def answer_to(body):
    """(text, tool calls) for a body of /v1/chat/completions."""
    messages = body["messages"]
    last = messages[-1]
    if STEP1_MARK in text_of(last):
        return STEP1_ANSWER, None
    if last["role"] == "tool":
        return "It is " + text_of(last) + ".", None
    if body.get("tools") and body.get("tool_choice") != "none":
        return None, [tool_call(body["tools"])]
    if body.get("response_format", {}).get("type") in ("json_object", "json_schema"):
        return json.dumps({"author": "Walt Whitman", "year": 1855}), None
    for url in images_of(last):
        data = base64.b64decode(url.split(",", 1)[1])
        return "An image of sha256 " + hashlib.sha256(data).hexdigest(), None
    return ANSWER, None


def usage_of(text):
    n = len((text or "").split())
    return {"prompt_tokens": 20, "completion_tokens": n, "total_tokens": 20 + n}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    store = None

    def setup(self):
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        super().setup()

    def log_message(self, *args):
        pass

    # ---- bytes out

    def send_body(self, status, body, content_type="application/json", fields=()):
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        for name, value in fields:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def send_json(self, status, value, fields=()):
        self.send_body(status, json.dumps(value).encode(), fields=fields)

    def send_fault(self, status, message, fields=()):
        if self.path.startswith("/v1/messages"):
            self.send_json(status, {"type": "error", "error": {"type": TYPES[status], "message": message},
                                    "request_id": "req_1"}, fields)
            return
        self.send_json(status, {"error": {"message": message, "type": TYPES[status], "param": None,
                                          "code": "fake_%d" % status}}, fields)

    def begin_stream(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def piece(self, text):
        data = text.encode()
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

    def event(self, value):
        self.piece("data: " + json.dumps(value) + "\n\n")

    def client_left(self, wait_s):
        """Waits; true as soon as the client has closed its end."""
        readable, _, _ = select.select([self.connection], [], [], wait_s)
        if not readable:
            return False
        try:
            return self.connection.recv(1, socket.MSG_PEEK) == b""
        except ConnectionError:
            return True

    # ---- requests in

    def do_GET(self):
        if self.path == "/_requests":
            self.send_json(200, self.store.list())
            return
        self.keep(b"")
        if self.path == "/v1/models":
            models = [{"id": m, "object": "model", "created": 1, "owned_by": "fake"} for m in MODELS]
            self.send_json(200, {"object": "list", "data": models})
        elif self.path.startswith("/v1/models/") and self.path[11:] in MODELS:
            self.send_json(200, {"id": self.path[11:], "object": "model", "created": 1,
                                 "owned_by": "fake"})
        elif self.path == "/v1/responses/resp_1":
            body = {"model": "tiny", "input": ""}
            self.send_json(200, fake_apis.response_of(body, [fake_apis.message_item(ANSWER)], "completed"))
        else:
            self.send_fault(404, "no such thing: " + self.path)

    def do_DELETE(self):
        self.store.forget()
        self.send_json(200, {})

    def do_POST(self):
        if self.headers.get("Transfer-Encoding") == "chunked":
            raw = self.read_chunks()
        else:
            raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        record = self.keep(raw)
        try:
            self.answer(json.loads(raw), record)
        except (BrokenPipeError, ConnectionError):
            record["hung_up"] = True
            self.close_connection = True

    def read_chunks(self):
        raw = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            raw += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return raw

    def keep(self, raw):
        record = {"method": self.command, "path": self.path, "headers": dict(self.headers.items()),
                  "body": raw.decode("latin-1"), "hung_up": False}
        self.store.add(record)
        return record

    def answer(self, body, record):
        model = body.get("model")
        if model not in MODELS:
            self.send_fault(404, "The model %s does not exist" % model)
        elif model.startswith("fail-"):
            status = int(model[5:])
            fields = [("Retry-After", "1"), ("X-Fake", "yes")] if status == 429 else [("X-Fake", "yes")]
            self.send_fault(status, "fake %d" % status, fields)
        elif model == "busy-once" and self.store.busy():
            self.send_fault(429, "once", [("Retry-After-Ms", "10")])
        elif model == "silent":
            record["hung_up"] = self.client_left(SILENCE_S)
            self.close_connection = True
        elif self.path == "/v1/chat/completions":
            self.chat(body, record)
        elif self.path.startswith("/v1/responses"):
            fake_apis.responses(self, body, record)
        elif self.path.startswith("/v1/messages"):
            fake_apis.messages(self, body, record)
        elif self.path == "/v1/completions":
            self.completion(body)
        elif self.path == "/v1/embeddings":
            self.embeddings(body)
        else:
            self.send_fault(404, "no such thing: " + self.path)

    def embeddings(self, body):
        inputs = body["input"] if isinstance(body["input"], list) else [body["input"]]
        data = [{"object": "embedding", "index": i, "embedding": [0.5, -0.25]}
                for i in range(len(inputs))]
        self.send_json(200, {"object": "list", "model": body["model"], "data": data,
                             "usage": {"prompt_tokens": 2, "total_tokens": 2}})

    def completion(self, body):
        if STEP1_MARK in str(body.get("prompt")):
            text = STEP1_ANSWER
        else:
            text = ANSWER
        head = {"id": "cmpl-1", "object": "text_completion", "created": 1, "model": body["model"]}
        choice = {"index": 0, "text": text, "finish_reason": "stop", "logprobs": None}
        if not body.get("stream"):
            self.send_json(200, {**head, "choices": [choice], "usage": usage_of(text)})
            return
        self.begin_stream()
        for word in text.split(" "):
            piece = {**choice, "text": word + " ", "finish_reason": None}
            self.event({**head, "choices": [piece]})
        self.event({**head, "choices": [{**choice, "text": ""}]})
        self.end_stream(body, head, text)

    def end_stream(self, body, head, text):
        if body.get("stream_options", {}).get("include_usage"):
            self.event({**head, "choices": [], "usage": usage_of(text)})
        self.piece("data: [DONE]\n\n")
        self.wfile.write(b"0\r\n\r\n")

    def chat(self, body, record):
        text, calls = answer_to(body)
        head = {"id": "chatcmpl-1", "created": 1, "model": body["model"],
                "system_fingerprint": "fake"}
        finish = "tool_calls" if calls else "stop"
        if not body.get("stream"):
            message = {"role": "assistant", "content": text}
            if calls:
                message["tool_calls"] = calls
            self.send_json(200, {**head, "object": "chat.completion", "usage": usage_of(text),
                                 "choices": [{"index": 0, "message": message, "logprobs": None,
                                              "finish_reason": finish}]})
            return
        self.stream_chat(body, record, {**head, "object": "chat.completion.chunk"}, text, calls, finish)

    def stream_chat(self, body, record, head, text, calls, finish):
        def delta(value, reason=None):
            self.event({**head, "choices": [{"index": 0, "delta": value, "finish_reason": reason}]})

        self.begin_stream()
        delta({"role": "assistant", "content": None if calls else ""})
        for i, call in enumerate(calls or []):
            arguments = call["function"]["arguments"]
            first = {**call["function"], "arguments": arguments[:4]}
            delta({"tool_calls": [{**call, "index": i, "function": first}]})
            delta({"tool_calls": [{"index": i, "function": {"arguments": arguments[4:]}}]})
        words = (text or "").split(" ") if text else []
        step1 = text == STEP1_ANSWER
        if body["model"] == "slow" and not step1:
            words = ["word"] * 300
        for i, word in enumerate(words):
            delta({"content": word + (" " if i + 1 < len(words) else "")})
            if body["model"] == "broken" and not step1 and i == 1:
                self.close_connection = True
                return
            if body["model"] == "slow" and not step1 and self.client_left(0.05):
                record["hung_up"] = True
                self.close_connection = True
                return
        delta({}, finish)
        self.end_stream(body, head, text)


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request, client_address):
        """A client that hangs up is what some tests do."""


def main():
    parser = argparse.ArgumentParser(description="a small OpenAI server for tests")
    parser.add_argument("--port", type=int, default=0)
    store = Store()
    handler = type("BoundHandler", (Handler,), {"store": store})
    server = Server(("127.0.0.1", parser.parse_args().port), handler)
    print("http://127.0.0.1:%d/v1" % server.server_port, flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        time.sleep(0)


if __name__ == "__main__":
    main()
