#!/usr/bin/env python3
"""Measures the time that `s2a serve --upstream` adds to a request that it passes through, and the cost of idle streams.

    scripts/serve-latency.py [--binary build/release/s2a] [--seconds 30] [--rate 100] [--csv FILE]

A trivial server responds at once. Requests go to it directly and through s2a in turn, --rate a second each, on connections that stay open. The time to the first byte
of the response is measured. It needs only Python; everything is on loopback.
"""
import argparse
import asyncio
import gc
import multiprocessing
import os
import platform
import signal
import statistics
import subprocess
import sys
import time

BODY = b'{"model":"m","messages":[{"role":"user","content":"' + b"How far is it? " * 60 + b'"}]}'
ANSWER = b'{"id":"x","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"Far."},"finish_reason":"stop"}]}'


class Upstream(asyncio.Protocol):
    """Responds to each POST as soon as its body has arrived."""

    def connection_made(self, transport):
        self.transport, self.seen = transport, b""

    def data_received(self, data):
        self.seen += data
        while b"\r\n\r\n" in self.seen:
            head, rest = self.seen.split(b"\r\n\r\n", 1)
            fields = dict(line.lower().split(b":", 1) for line in head.split(b"\r\n")[1:])
            length = int(fields.get(b"content-length", b"0"))
            if len(rest) < length:
                return
            self.seen = rest[length:]
            self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(ANSWER) + ANSWER)


def upstream_run(port):
    gc.disable()

    async def main():
        server = await asyncio.get_running_loop().create_server(Upstream, "127.0.0.1", 0)
        port.value = server.sockets[0].getsockname()[1]
        await server.serve_forever()

    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    asyncio.run(main())


class Client(asyncio.Protocol):
    """One request at a time on a connection that stays open."""

    def connection_made(self, transport):
        self.transport, self.seen, self.first, self.waiting = transport, b"", 0.0, None

    def data_received(self, data):
        if not self.seen:
            self.first = time.perf_counter()
        self.seen += data
        if self.waiting and self.seen.endswith(ANSWER):
            waiting, self.waiting, self.seen = self.waiting, None, b""
            waiting.set_result(self.first)

    def connection_lost(self, error):
        if self.waiting:
            self.waiting.set_exception(ConnectionError(f"connection closed: {error}"))

    async def ask(self, request):
        self.waiting = asyncio.get_running_loop().create_future()
        start = time.perf_counter()
        self.transport.write(request)
        return (await asyncio.wait_for(self.waiting, 10) - start) * 1e3


async def measure(ports, seconds, rate):
    loop = asyncio.get_running_loop()
    clients, requests, times = {}, {}, {name: [] for name in ports}
    for name, port in ports.items():
        _, clients[name] = await loop.create_connection(Client, "127.0.0.1", port)
        requests[name] = b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % (port, len(BODY)) + BODY
        for _ in range(20):
            await clients[name].ask(requests[name])
    due = time.perf_counter()
    for _ in range(int(seconds * rate)):
        for name in ports:
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            times[name].append(await clients[name].ask(requests[name]))
            due += 1 / rate / len(ports)
    return times


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", default="build/release/s2a")
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--rate", type=float, default=100, help="requests a second, of each kind")
    parser.add_argument("--csv")
    options = parser.parse_args()
    gc.disable()
    port = multiprocessing.Value("i", 0)
    upstream = multiprocessing.Process(target=upstream_run, args=(port,), daemon=True)
    upstream.start()
    while port.value == 0:
        time.sleep(0.01)
    proxy = subprocess.Popen([options.binary, "serve", "--select-model", "none", "--upstream", f"http://127.0.0.1:{port.value}/v1", "--port", "0", "--access-log", "off"],
                             stdout=subprocess.PIPE, text=True)
    try:
        address = proxy.stdout.readline()
        through = int(address.split("//")[1].split("/")[0].split(":")[1])
        times = asyncio.run(measure({"direct": port.value, "through": through}, options.seconds, options.rate))
    finally:
        proxy.terminate()
        proxy.wait(20)
        upstream.terminate()
    rows = []
    for name, values in times.items():
        cut = statistics.quantiles(values, n=1000)
        rows.append((name, len(values), cut[499], cut[949], cut[989], cut[998]))
    added = [b - a for a, b in zip(rows[0][2:], rows[1][2:])]
    lines = ["kind,requests,median_ms,p95_ms,p99_ms,p99.9_ms"]
    lines += [f"{name},{n}," + ",".join(f"{v:.3f}" for v in values) for name, n, *values in rows]
    lines.append("added,," + ",".join(f"{v:.3f}" for v in added))
    print("\n".join(lines))
    if options.csv:
        with open(options.csv, "w") as f:
            f.write(f"# {platform.machine()}, {os.cpu_count()} cores, {options.rate:g} requests a second of each kind, time to the first byte\n")
            f.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    sys.exit(main())
