#!/usr/bin/env python3
"""serve-soak.py TOOL [SECONDS [CLIENTS]]: mixed load on `s2a serve` in front of a server that stalls,
resets, lies and answers, with clients that read slowly and hang up, bursts of ten times the connections
that it takes, half a head, heads byte by byte, halves that close, resets, nonsense, a reader of its log that
stops reading, SIGHUP and SIGSTOP. Every answer that is read to its end must be the right one; when all is
over nothing may be in flight, descriptors must be as many as before and memory no more than a fifth above
what it was after a quarter of the time, and the tool must end with 0 soon.
Give a tool that was built with a sanitizer to find more."""
import asyncio
import json
import random
import os
import re
import signal
import socket
import struct
import sys
import urllib.request

SPARE = 2 * 8 + 6  # descriptors: two for each transfer handle that fetch.c keeps, and a few that are just ending
UPSTREAM_KEPT = 4 * 64 + 8  # by the lanes of upstream.c, and by those handles
PATHS = {"chat": "/v1/chat/completions", "s2a": "/v1/chat/completions", "responses": "/v1/responses", "messages": "/v1/messages",
         "guardrail": "/beta/litellm_basic_guardrail_api"}
PARTS = "Unbiased text context: The mill is old.\n\nQuestion/Query: What is {}?"
counts = {}


def count(what):
    counts[what] = counts.get(what, 0) + 1


# ---- the server behind ---------------------------------------------------------------------------

async def read_request(reader):
    head = await reader.readuntil(b"\r\n\r\n")
    length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
    body = await reader.readexactly(int(length.group(1))) if length else b""
    return head, body


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


def event(value):
    return b"data: " + json.dumps(value).encode() + b"\n\n"


async def send_stream(writer, text, usage, fault):
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                 b"Transfer-Encoding: chunked\r\n\r\n")
    pieces = [text[i:i + 5] for i in range(0, len(text), 5)]
    for i, piece in enumerate(pieces):
        if fault and i == len(pieces) // 2:
            return False
        writer.write(chunk(event({"choices": [{"index": 0, "delta": {"content": piece}}]})))
        await writer.drain()
        await asyncio.sleep(random.random() * 0.01)
    writer.write(chunk(event({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})))
    if usage:
        writer.write(chunk(event({"choices": [], "usage": {
            "prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}})))
    writer.write(chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n")
    return True


def named_events(is_messages, text):
    """A stream of Anthropic's API, or of OpenAI's Responses: (type, members) each."""
    pieces = [text[i:i + 40] for i in range(0, len(text), 40)]
    if is_messages:
        return [("message_start", {"message": {"id": "m", "type": "message", "role": "assistant", "content": [], "usage": {"input_tokens": 9, "output_tokens": 1}}}),
                ("content_block_start", {"index": 0, "content_block": {"type": "text", "text": ""}}),
                *(("content_block_delta", {"index": 0, "delta": {"type": "text_delta", "text": p}}) for p in pieces),
                ("content_block_stop", {"index": 0}),
                ("message_delta", {"delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 9}}), ("message_stop", {})]
    whole = {"id": "r", "object": "response", "status": "completed", "output": [], "usage": {"input_tokens": 9, "output_tokens": 9, "total_tokens": 18}}
    return [("response.created", {"response": {**whole, "status": "in_progress"}}),
            *(("response.output_text.delta", {"item_id": "i", "output_index": 0, "content_index": 0, "delta": p}) for p in pieces),
            ("response.completed", {"response": whole})]


async def send_named(writer, is_messages, text, stream, fault):
    if not stream:
        part = {"type": "text" if is_messages else "output_text", "text": text}
        whole = {"id": "m", "type": "message", "role": "assistant", "content": [part]}
        data = json.dumps(whole if is_messages else {"id": "r", "object": "response", "status": "completed", "output": [whole]}).encode()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(data), data))
        return True
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
    events = named_events(is_messages, text)
    for name, members in events[:len(events) // 2 if fault else None]:
        writer.write(chunk(b"event: %s\ndata: %s\n\n" % (name.encode(), json.dumps({"type": name, **members}).encode())))
        await writer.drain()
        await asyncio.sleep(0.001)
    if fault:
        writer.transport.abort()
        return False
    writer.write(b"0\r\n\r\n")
    return True


async def answer(writer, head, body):
    fault = random.random()
    if fault < 0.03:
        await asyncio.sleep(3)  # stalls, longer than the soak's --upstream-timeout-ms
        return False
    if fault < 0.06:
        writer.transport.abort()
        return False
    if fault < 0.08:
        writer.write(b"nonsense\r\n\r\n")
        return False
    if fault < 0.11:
        writer.write(b"HTTP/1.1 429 No\r\nContent-Length: 33\r\n\r\n{\"error\":{\"message\":\"too often\"}}")
        return True
    if not body:
        data = head.split(b" ")[1]
        wrong = 7 if fault < 0.13 else 0
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(data) + wrong, data))
        return not wrong
    request = json.loads(body)
    asked = request["input"] if "input" in request else request["messages"][-1]["content"]
    number = re.findall(r"What is (\d+)\?", asked)[-1]
    step1 = "Given the following text" in asked
    text = PARTS.format(number) if step1 else f"It is {number}. " * 20
    if head.startswith((b"POST /v1/responses ", b"POST /v1/messages ")):
        return await send_named(writer, head.split(b" ")[1] == b"/v1/messages", text, request.get("stream"), fault < 0.15)
    if request.get("stream"):
        usage = request.get("stream_options", {}).get("include_usage")
        return await send_stream(writer, text, usage, fault < 0.15)
    data = json.dumps({"choices": [{"index": 0, "message": {"role": "assistant", "content": text},
                                    "finish_reason": "stop"}]}).encode()
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(data), data))
    return True


async def upstream(reader, writer):
    try:
        while await answer(writer, *await read_request(reader)):
            await writer.drain()
    except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
        pass
    writer.close()


# ---- clients -------------------------------------------------------------------------------------

async def read_body(reader, head, slow):
    async def pause():
        if slow:
            await asyncio.sleep(random.random() * 0.02)
    if b"chunked" in head:
        body = b""
        while True:
            size = int(await reader.readuntil(b"\r\n"), 16)
            body += await reader.readexactly(size)
            await reader.readexactly(2)
            if size == 0:
                return body
            await pause()
    length = re.search(rb"(?i)content-length: *(\d+)", head)
    await pause()
    return await reader.readexactly(int(length.group(1)))


def check(status, body, kind, number, stream):
    text = body.decode()
    if status != 200:
        assert status in (408, 429, 502, 504) or "too many connections" in text, (status, text)
        count(f"{kind} {status}")
    elif kind == "path":
        assert text == f"/p/{number}", text
        count("path right")
    elif '"error"' in text:
        assert not text.endswith(("[DONE]\n\n", "message_stop\"}\n\n")) and "response.completed" not in text, text
        count(f"{kind} error event")
    elif kind == "guardrail":
        got = json.loads(text)
        if got["action"] != "NONE":
            assert got["s2a"]["fallback"] is None and f"What is {number}?" in got["texts"][0] and "I like" not in got["texts"][0], text
        count(f"{kind} right")
    else:
        right = f"It is {number}. " * 20
        if stream and kind in ("responses", "messages"):
            got = "".join(re.findall(r'"delta": ?(?:\{"type": ?"text_delta", ?"text": ?)?"([^"]*)"', text))
            assert "response.completed" in text or "message_stop" in text, text
        elif stream:
            got = "".join(re.findall(r'"content": ?"([^"]*)"', text))
            assert text.endswith("data: [DONE]\n\n"), text
        else:
            got = json.loads(text)
            got = (got["output"][0]["content"][0]["text"] if kind == "responses" else got["content"][0]["text"] if kind == "messages"
                   else got["choices"][0]["message"]["content"])
        assert got == right, text
        if kind != "chat":
            assert '"s2a"' in text, text
        count(f"{kind} right")


async def one(port, seen):
    """A request. seen gets its kind, and its connection's own port once there is one."""
    number, kind = random.randrange(10**6), random.choice(("path", *PATHS))
    stream, hang_up = random.random() < 0.5, random.random() < 0.2
    seen["kind"] = kind
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    seen["port"] = writer.get_extra_info("sockname")[1]
    if kind == "path":
        writer.write(b"GET /p/%d HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" % number)
    else:
        asked = f"I like it. The mill is old. What is {number}?"
        body = {"model": ("" if kind == "chat" else "s2a-") + "m", "stream": stream}
        if kind == "guardrail":
            body = {"input_type": "request", "texts": [asked], "model": "m"}
        elif kind == "responses":
            body["input"] = asked
        else:
            body["messages"] = [{"role": "user", "content": asked}]
        body = json.dumps(body).encode()
        writer.write(b"POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
                     % (PATHS[kind].encode(), len(body), body))
    try:
        if hang_up:
            await asyncio.sleep(random.random() * 0.2)
            writer.transport.abort() if random.random() < 0.5 else writer.close()
            count("hung up")
            return
        head = await reader.readuntil(b"\r\n\r\n")
        body = await read_body(reader, head, random.random() < 0.1)
        check(int(head.split(b" ")[1]), body, kind, number, stream)
    except (asyncio.IncompleteReadError, ConnectionError):
        count(f"{kind} cut")
    finally:
        writer.close()


async def client(port, server, end):
    while asyncio.get_running_loop().time() < end:
        seen = {}
        request = asyncio.ensure_future(one(port, seen))
        if not (await asyncio.wait([request], timeout=60))[0]:
            # In a burst the kernel drops what asks for a connection, and both sides try again after up to a minute.
            assert not accepted(server, seen.get("port")), f"no end within 60 s: {seen}"
            count("a connection that the kernel kept waiting for 60 s")
            request.cancel()
        await asyncio.wait([request])
        if not request.cancelled():
            request.result()


# ---- hostile clients -----------------------------------------------------------------------------

CONNECTIONS = 200  # the tool's --max-connections
HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"


def reset(writer):
    """Ends a connection by RST, if it has not ended."""
    try:
        writer.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    except OSError:
        pass
    writer.transport.abort()


async def hostile(port):
    kind = random.choice(("silent", "half a head", "slow head", "half-close", "reset", "nonsense", "half a body", "endless head", "no reader"))
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        if kind == "silent":
            await asyncio.sleep(random.random())
        elif kind == "half a head":
            writer.write(HEAD)
            await asyncio.sleep(random.random())
        elif kind == "slow head":
            for byte in HEAD[:40]:
                writer.write(bytes([byte]))
                await asyncio.sleep(0.02)
        elif kind == "half-close":
            writer.write(b"GET /p/1 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            writer.write_eof()
            await asyncio.wait_for(reader.read(), 20)
        elif kind == "reset":
            writer.write(HEAD + b"Content-Length: 100\r\n\r\n{")
            await asyncio.sleep(random.random() * 0.1)
            reset(writer)
        elif kind == "nonsense":
            writer.write(os.urandom(random.randrange(1, 2000)))
            await asyncio.wait_for(reader.read(), 20)
        elif kind == "half a body":
            writer.write(HEAD + b"Content-Length: 1000\r\n\r\n" + b"{" * random.randrange(999))
            await asyncio.sleep(random.random())
        elif kind == "endless head":
            writer.write(HEAD + b"".join(b"X-%d: %s\r\n" % (i, b"a" * 100) for i in range(1000)))
            await asyncio.wait_for(reader.read(), 20)
        else:
            for i in range(20):
                writer.write(b"GET /p/%d HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" % i)
            await asyncio.sleep(random.random())
        count("hostile: " + kind)
    except ConnectionError:
        count("hostile: " + kind)
    except asyncio.TimeoutError:  # in a burst the kernel itself lets connections wait
        count("hostile: no end within 20 s")
    finally:
        writer.close()


async def hostile_client(port, end):
    while asyncio.get_running_loop().time() < end:
        try:
            await hostile(port)
        except OSError:
            await asyncio.sleep(0.1)


async def burst(port, end):
    """Ten times the limit at once; after it the server answers."""
    data = (b"", b"GET /health HTTP/1.1\r\n", b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    for n in range(10**6):
        await asyncio.sleep(15)
        if asyncio.get_running_loop().time() > end:
            return
        opened = await asyncio.gather(*(asyncio.open_connection("127.0.0.1", port) for _ in range(10 * CONNECTIONS)), return_exceptions=True)
        writers = [o[1] for o in opened if not isinstance(o, BaseException)]
        for w in writers:
            w.write(data[n % 3])
        await asyncio.sleep(random.random())
        for w in writers:
            reset(w) if random.random() < 0.5 else w.close()
        count("bursts")


async def signals(server, end):
    while asyncio.get_running_loop().time() < end:
        await asyncio.sleep(random.random() * 6)
        server.send_signal(signal.SIGHUP)
        count("SIGHUP")
        await asyncio.sleep(random.random() * 6)
        server.send_signal(signal.SIGSTOP)
        await asyncio.sleep(0.3)
        server.send_signal(signal.SIGCONT)
        count("SIGSTOP")


async def log_reader(server, end, lines):
    """Reads its log for a second, and then for three seconds not; keeps what is no line of the access log."""
    loop = asyncio.get_running_loop()
    while True:
        stop = loop.time() + 1
        while loop.time() < stop or loop.time() > end:
            line = await server.stderr.readline()
            if not line:
                return
            if b"Sanitizer" in line or b"runtime error" in line or b"    #" in line:
                lines.append(line.decode(errors="replace"))
            count("log lines")
        await asyncio.sleep(3)


def accepted(server, client_port):
    """Whether the server has the connection that a client has at this port."""
    fields = [line.split() for line in open("/proc/net/tcp")][1:]
    sockets = {f"socket:[{f[9]}]" for f in fields if client_port and int(f[2].split(":")[1], 16) == client_port}
    for fd in os.listdir(f"/proc/{server.pid}/fd"):
        try:
            if os.readlink(f"/proc/{server.pid}/fd/{fd}") in sockets:
                return True
        except FileNotFoundError:
            pass
    return False


def held(server, upstream_port):
    """KiB of memory; descriptors, without and of connections to upstream, which are kept for the next request."""
    status = open(f"/proc/{server.pid}/status").read()
    fields = [line.split() for line in open("/proc/net/tcp")][1:]
    there = {f"socket:[{f[9]}]" for f in fields if int(f[2].split(":")[1], 16) == upstream_port}
    kept = count_all = 0
    for fd in os.listdir(f"/proc/{server.pid}/fd"):
        try:
            kept += os.readlink(f"/proc/{server.pid}/fd/{fd}") in there
            count_all += 1
        except FileNotFoundError:
            pass
    return int(status.split("VmRSS:")[1].split()[0]), count_all - kept, kept


def metric(port, name):
    text = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics").read().decode()
    return int(re.search(rf"^{name} (\d+)$", text, re.M).group(1))


async def main():
    tool = sys.argv[1]
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 600
    clients = int(sys.argv[3]) if len(sys.argv) > 3 else 32
    loop = asyncio.get_running_loop()
    listener = await asyncio.start_server(upstream, "127.0.0.1", 0, backlog=500)
    behind = listener.sockets[0].getsockname()[1]
    server = await asyncio.create_subprocess_exec(
        tool, "serve", "--port", "0", "--quiet", "--select-model", "none", "--access-log", "-", "--upstream-timeout-ms",
        "1000", "--max-connections", str(CONNECTIONS), "--upstream",
        f"http://127.0.0.1:{behind}/v1",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE)
    port = int((await server.stdout.readline()).decode().rsplit(":", 1)[1].split("/")[0])
    begin, faults, early = held(server, behind), [], []
    end = loop.time() + seconds
    loop.call_later(seconds / 4, lambda: early.append(held(server, behind)))
    log = asyncio.ensure_future(log_reader(server, end, faults))
    await asyncio.gather(*(client(port, server, end) for _ in range(clients)), *(hostile_client(port, end) for _ in range(clients)),
                         burst(port, end), signals(server, end))
    for _ in range(300):
        left = await loop.run_in_executor(None, metric, port, "s2a_in_flight")
        if left == 1:  # the question itself
            break
        await asyncio.sleep(0.1)
    assert left == 1, f"{left - 1} requests are in flight"
    assert await loop.run_in_executor(None, metric, port, "s2a_workers_busy") == 0
    dropped = await loop.run_in_executor(None, metric, port, "s2a_log_dropped_total")
    for _ in range(300):  # libmicrohttpd misses some resets: such a connection ends when it was idle for 75 s
        late = held(server, behind)
        if late[1] <= begin[1] + SPARE:
            break
        await asyncio.sleep(0.3)
    print(f"KiB of memory, descriptors, connections to upstream: {begin} at first, {early[0]} after a quarter, {late} at the end; log lines dropped: {dropped}")
    server.terminate()
    code = await asyncio.wait_for(server.wait(), 60)
    await log
    for what in sorted(counts):
        print(f"{counts[what]:8} {what}")
    assert code == 0 and not faults, f"the tool ended with {code}\n" + "".join(faults)
    assert late[1] <= begin[1] + SPARE, "descriptors are left open"
    assert late[2] <= UPSTREAM_KEPT, "more connections to upstream are kept than the tool says"
    assert late[0] <= 1.2 * early[0][0] + 4096, "memory grows"

asyncio.run(main())
