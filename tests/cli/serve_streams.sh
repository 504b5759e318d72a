#!/usr/bin/env bash
# A thousand streams that idle, through s2a serve: they are held in less than 64 MiB, and are gone
# when their clients are.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
command -v python3 >/dev/null || { echo "python3 is not here"; exit 77; }
streams=1000
(($(ulimit -H -n) >= 3 * streams)) 2>/dev/null || [[ $(ulimit -H -n) == unlimited ]] ||
    { echo "too few descriptors"; exit 77; }
ulimit -S -n $((3 * streams))
server=
trap '[[ -z $server ]] || kill -9 $server 2>/dev/null; rm -rf "$work"' EXIT
test="a thousand streams"

cat >"$work/streams.py" <<'PY'
import asyncio, os, socket, sys, urllib.request
tool, streams, limit = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
HEAD = (b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n9\r\ndata: 1\n\n\r\n")
open_streams = 0

async def upstream(reader, writer):
    global open_streams
    await reader.readuntil(b"\r\n\r\n")
    open_streams += 1
    writer.write(HEAD)
    await reader.read()
    open_streams -= 1
    writer.close()

async def client(port):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /stream HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    await reader.readuntil(b"data: 1\n\n")
    return writer

async def main():
    listener = await asyncio.start_server(upstream, "127.0.0.1", 0, backlog=streams)
    port = listener.sockets[0].getsockname()[1]
    tool_ = await asyncio.create_subprocess_exec(
        tool, "serve", "--port", "0", "--quiet", "--access-log", "off", "--upstream",
        f"http://127.0.0.1:{port}/v1", stdout=asyncio.subprocess.PIPE)
    line = (await tool_.stdout.readline()).decode()
    port = int(line.rsplit(":", 1)[1].split("/")[0])
    clients = []
    for i in range(0, streams, 50):
        clients += await asyncio.gather(*(client(port) for _ in range(50)))
    status = open(f"/proc/{tool_.pid}/status").read()
    rss = int(status.split("VmRSS:")[1].split()[0])
    print(f"{open_streams} streams, {rss} kB")
    assert open_streams == streams, open_streams
    assert limit == 0 or rss < limit, f"{rss} kB"
    for c in clients:
        c.close()
    for _ in range(200):
        if open_streams == 0:
            break
        await asyncio.sleep(0.05)
    assert open_streams == 0, open_streams
    tool_.terminate()
    assert await tool_.wait() == 0

asyncio.run(main())
PY
# A sanitizer needs memory of its own.
limit=65536
grep -qa -e __asan_init -e __tsan_init "$bin" && limit=0
run_streams() { python3 "$work/streams.py" "$bin" "$streams" "$limit" >"$work/out" 2>"$work/err"; }
unset S2A_BACKEND
check "they are held, and end" run_streams
cat "$work/out"
finish
