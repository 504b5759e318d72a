"""Streams, event loops, cancelling, Ctrl-C and the end of a program."""
import asyncio
import gc
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

import s2a
from conftest import REWRITE, SELECT, X, XPRIME
from s2a._call import Call

SLOW = "@sleep 60000\nx"
LONG = " ".join(f"word{i}" for i in range(200000))  # nobody waits for its end


def wait_until(true, limit_s=10):
    end = time.monotonic() + limit_s
    while not true():
        assert time.monotonic() < end, "it does not happen"
        time.sleep(0.005)


# ---- streams -------------------------------------------------------------------------------------


def test_stream(scripted):
    stream = scripted(REWRITE, "The long Nile — größer.").stream(X, mode="rewrite")
    assert stream.result is None
    pieces = list(stream)
    assert "".join(pieces) == "The long Nile — größer." == stream.result.answer and len(pieces) > 1
    assert stream.result.rewritten == XPRIME
    with pytest.raises(StopIteration):
        next(stream)


def test_stream_error(scripted):
    stream = scripted(REWRITE, "@error backend it broke").stream(X, mode="rewrite")
    with pytest.raises(s2a.BackendError, match="it broke"):
        list(stream)
    assert stream.result is None


@pytest.fixture
def ends(monkeypatch):
    """The errors, or None, with which calls on threads ended."""
    seen, real = [], Call.start

    def start(self, ended, on_piece=None):
        real(self, lambda result, error: (seen.append(type(error)), ended(result, error)), on_piece)

    monkeypatch.setattr(Call, "start", start)
    return seen


def test_stream_close_cancels(scripted, ends):
    engine = scripted(SELECT, LONG)
    with engine.stream(X, max_tokens=10 ** 6) as stream:
        assert next(stream) == "word0"
    assert not engine._running and ends == [s2a.Cancelled]
    with pytest.raises(StopIteration):
        next(stream)


def test_dropped_stream_cancels(scripted, ends):
    engine = scripted(LONG)
    for _ in engine.stream(X, preset="plain", max_tokens=10 ** 6):
        break
    gc.collect()
    assert not engine._running and ends == [s2a.Cancelled]


def test_stream_that_never_starts(scripted):
    engine = scripted("@error internal it shall not run")
    engine.stream(X).close()
    assert not engine._running


# ---- asyncio -------------------------------------------------------------------------------------


def test_async(scripted):
    async def main():
        engine = scripted(SELECT, "The Nile.")
        assert (await engine.aanswer(X)).answer == "The Nile."
        assert (await engine.aattend(X)).rewritten == XPRIME
        stream = scripted(SELECT, "The long Nile.").astream(X)
        assert [p async for p in stream] == ["The", " long", " Nile."]
        assert stream.result.answer == "The long Nile."
        with pytest.raises(s2a.InputError):
            await engine.aanswer("")

    asyncio.run(main())


def test_many_at_once(scripted):
    async def main():
        engine = scripted("@sleep 100\nx")
        start = time.monotonic()
        results = await asyncio.gather(*(engine.aanswer(X, preset="plain") for _ in range(50)))
        assert [r.answer for r in results] == ["x"] * 50
        assert time.monotonic() - start < 50 * 0.1

    asyncio.run(main())


def test_cancelled_task(scripted):
    async def main():
        engine = scripted(SLOW)
        for coroutine in (engine.aanswer(X, preset="plain"), anext(engine.astream(X, preset="plain"))):
            task = asyncio.ensure_future(coroutine)
            while not engine._running:
                await asyncio.sleep(0.005)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert not engine._running
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(engine.aanswer(X, preset="plain"), 0.05)
        assert not engine._running

    asyncio.run(main())


def test_left_async_stream(scripted, ends):
    async def main():
        engine = scripted(LONG)
        async with engine.astream(X, preset="plain", max_tokens=10 ** 6) as stream:
            async for piece in stream:
                assert piece == "word0"
                break
        assert not engine._running and ends == [s2a.Cancelled]

    asyncio.run(main())


# ---- cancel --------------------------------------------------------------------------------------


def test_cancel(scripted):
    engine, cancel = scripted(SLOW), s2a.Cancel()
    timer = threading.Timer(0.05, cancel.fire)
    timer.start()
    for _ in range(2):  # while it runs; before it starts
        with pytest.raises(s2a.Cancelled):
            engine.answer(X, preset="plain", cancel=cancel)
    assert cancel.fired
    cancel.reset()
    assert scripted("x").answer(X, preset="plain", cancel=cancel).answer == "x"
    assert not cancel._calls


def test_one_cancel_for_many(scripted):
    engine, cancel = scripted(SLOW), s2a.Cancel()
    errors = []

    def run():
        try:
            engine.answer(X, preset="plain", cancel=cancel)
        except s2a.Cancelled as e:
            errors.append(e)

    threads = [threading.Thread(target=run) for _ in range(5)]
    for t in threads:
        t.start()
    wait_until(lambda: len(engine._running) == 5)
    cancel.fire()
    for t in threads:
        t.join(10)
    assert len(errors) == 5


def test_closing_a_stream_fires_no_cancel_of_others(scripted):
    cancel = s2a.Cancel()
    scripted(SLOW).stream(X, cancel=cancel).close()
    assert not cancel.fired


# ---- processes -----------------------------------------------------------------------------------


def start(code, tmp_path):
    (tmp_path / "replay").write_text(SLOW + "\n")
    head = "import atexit\natexit.register(lambda: print(len(engine._running), 'run'))\n" \
           "import s2a, sys, threading\nengine = s2a.Engine(sys.argv[1] + '/replay', backend='script')\nprint('go', flush=True)\n"
    process = subprocess.Popen([sys.executable, "-c", head + code, str(tmp_path)], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "go\n"
    return process


@pytest.mark.parametrize("call", ["engine.answer('x y', preset='plain')", "list(engine.stream('x y', preset='plain'))"])
def test_ctrl_c(tmp_path, call):
    process = start(call, tmp_path)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=10)
    assert process.returncode in (-signal.SIGINT, 130) and errors.rstrip().endswith("KeyboardInterrupt")


def test_cancel_in_a_signal_handler(tmp_path):
    process = start("import signal, os\ncancel = s2a.Cancel()\n"
                    "signal.signal(signal.SIGTERM, lambda *_: cancel.fire())\n"
                    "try: engine.answer('x y', preset='plain', cancel=cancel)\n"
                    "except s2a.Cancelled: print('cancelled')\n", tmp_path)
    time.sleep(0.3)
    process.send_signal(signal.SIGTERM)
    out, errors = process.communicate(timeout=10)
    assert (process.returncode, out, errors) == (0, "cancelled\n0 run\n", "")


def test_end_while_a_thread_runs(tmp_path):
    process = start("threading.Thread(target=lambda: next(engine.stream('x y', preset='plain')), daemon=True).start()\n"
                    "import time\nwhile not engine._running: time.sleep(0.01)\n", tmp_path)
    out, _ = process.communicate(timeout=30)
    assert (process.returncode, out) == (0, "0 run\n")


def test_tool():
    for command in ([sys.executable, "-m", "s2a"], [s2a.tool()]):
        done = subprocess.run([*command, "--version"], capture_output=True, text=True)
        assert (done.returncode, done.stdout) == (0, f"s2a {s2a.__version__}\n")
    done = subprocess.run([sys.executable, "-m", "s2a", "--odd"], capture_output=True, text=True)
    assert done.returncode == 2
    assert os.access(s2a.tool(), os.X_OK)


# ---- models --------------------------------------------------------------------------------------


def test_missing_model(monkeypatch, tmp_path):
    monkeypatch.setenv("S2A_MODELS", str(tmp_path))
    default = next(m["name"] for m in s2a.models()["models"] if m["role"] == "default")
    for name in (None, default, default.upper()):
        with pytest.raises(s2a.ModelMissing, match=f"run `python -m s2a pull {default}`"):
            s2a.Engine(name)
    for name in ("odd", "no/such/file.gguf"):
        with pytest.raises(s2a.ModelMissing, match=f"model {name}: no such file or name"):
            s2a.Engine(name)


def test_not_a_model(tmp_path):
    (tmp_path / "x.gguf").write_text("not a model")
    for model in (str(tmp_path / "x.gguf"), tmp_path / "x.gguf", tmp_path / "none.gguf"):
        with pytest.raises(s2a.ModelError):
            s2a.Engine(model)
    with pytest.raises(s2a.Error):
        s2a.Engine(tmp_path)


def test_bad_manifest(monkeypatch, tmp_path):
    (tmp_path / "manifest").write_text("{")
    monkeypatch.setenv("S2A_MANIFEST", str(tmp_path / "manifest"))
    with pytest.raises(s2a.Error, match="manifest"):
        s2a.Engine()
    # A file of one's own needs no manifest.
    (tmp_path / "x.gguf").write_text("not a model")
    with pytest.raises(s2a.ModelError):
        s2a.Engine(str(tmp_path / "x.gguf"))


# ---- live ----------------------------------------------------------------------------------------


def test_live_answer(live):
    r = live.answer(X, temperature=0, max_tokens=8)
    assert r.answer and r.usage.step2.completion_tokens <= 8 and live.ctx_tokens == 1024


def test_live_stream(live):
    stream = live.stream(X, preset="plain", temperature=0, max_tokens=12)
    assert "".join(stream) == stream.result.answer == live.answer(X, preset="plain", temperature=0, max_tokens=12).answer


def test_live_cancel(live):
    with live.stream(X, preset="plain", temperature=0) as stream:
        next(stream)
    assert not live._running

    # Of a long prompt, so that it still reads when the task is cancelled, however fast the machine.
    async def main():
        task = asyncio.ensure_future(live.aanswer("one two three four " * 200, preset="plain", max_tokens=200))
        while not live._running:
            await asyncio.sleep(0.005)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert not live._running
