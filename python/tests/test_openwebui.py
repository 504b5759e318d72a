"""The Open WebUI filter: the file as it is pasted, by itself and in Open WebUI's own loader."""
import asyncio
import copy
import os
import subprocess
import types

import pytest

import s2a
from conftest import REWRITE, SELECT, TOP, X, XPRIME

SOURCE = (TOP / "python/s2a/openwebui.py").read_text()


def load():
    pytest.importorskip("pydantic")
    module = types.ModuleType("function_s2a")
    exec(SOURCE, module.__dict__)
    return module.Filter()


@pytest.fixture
def server(tmp_path):
    """s2a serve on the replayed backend; server(record, ...) is its URL."""
    processes = []

    def start(*records):
        (tmp_path / "replay").write_text("\n%%\n".join(records) + "\n")
        processes.append(subprocess.Popen(
            [s2a.tool(), "serve", "--port", "0", "--backend", "script", "--model", str(tmp_path / "replay"), "--access-log",
             "off"], stdout=subprocess.PIPE, text=True))
        return processes[-1].stdout.readline().strip()

    yield start
    for p in processes:
        p.terminate()
        p.wait(10)
        p.stdout.close()


def inlet(function, content=X, before=(), **extra):
    said = []

    async def emit(event):
        said.append(event["data"]["description"])

    body = {"model": "m", "messages": [*before, {"role": "user", "content": content}], "stream": True, **extra}
    return asyncio.run(function.inlet(copy.deepcopy(body), __event_emitter__=emit)), said


def with_engine(function, engine):
    function._engine, function._engine_model = engine, ""
    return function


def test_engine(scripted):
    body, said = inlet(with_engine(load(), scripted(SELECT)))
    assert body["messages"][-1] == {"role": "user", "content": XPRIME} and body["stream"] is True
    assert said == ["s2a: the model gets: " + XPRIME]


def test_nothing_removed(scripted):
    body, said = inlet(with_engine(load(), scripted("@score 6 6\n@score 6 6 1")), "It rains. Why?")
    assert body["messages"][-1]["content"] == "It rains. Why?" and not said


def test_conversation(scripted):
    before = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi! Why?"},
              {"role": "assistant", "content": "So."}]
    body, _ = inlet(with_engine(load(), scripted("@score 6 6\n@score 6 6 1", SELECT)), before=before)
    assert body["messages"] == [*before, {"role": "user", "content": XPRIME}]


def test_parts(scripted):
    image = {"type": "image_url", "image_url": {"url": "data:,"}}
    function = with_engine(load(), scripted(SELECT))
    body, _ = inlet(function, [image, {"type": "text", "text": X}])
    assert body["messages"][-1]["content"] == [image, {"type": "text", "text": XPRIME}]
    two = [{"type": "text", "text": X}, {"type": "text", "text": X}]
    for content in (two, [image], "", " ", None, []):
        body, said = inlet(function, content)
        assert body["messages"][-1]["content"] == content and not said


def test_no_message():
    for body in ({}, {"messages": []}, {"messages": [{"role": "system", "content": "x"}]}):
        assert asyncio.run(load().inlet(copy.deepcopy(body))) == body


def test_failure(scripted):
    function = with_engine(load(), scripted("@score 0\n@error backend it broke"))
    function.valves.mode = "select"
    body, said = inlet(function)
    assert body["messages"][-1]["content"] == X and said[0].startswith("s2a: step 1 failed, the message is sent as it is: ")
    function.valves.strict = True
    with pytest.raises(s2a.BackendError):
        inlet(function)


def test_timeout(scripted):
    engine = scripted("@sleep 60000\n@score 6 6")
    function = with_engine(load(), engine)
    function.valves.timeout_s = 0.1
    body, said = inlet(function)
    assert body["messages"][-1]["content"] == X and said == ["s2a: step 1 failed, the message is sent as it is: TimeoutError"]
    assert not engine._running


def test_missing_model(monkeypatch, tmp_path):
    monkeypatch.setenv("S2A_MODELS", str(tmp_path))
    body, said = inlet(load())
    assert body["messages"][-1]["content"] == X and "python -m s2a pull" in said[0]


def test_server(server):
    function = load()
    function.valves.url, function.valves.mode = server(REWRITE, "The"), "rewrite"
    body, said = inlet(function)
    assert body["messages"][-1]["content"] == XPRIME and said == ["s2a: the model gets: " + XPRIME]


def test_server_failed(server):
    """A server says of a step 1 that failed, with status 200, that there is no x'."""
    function = load()
    function.valves.url, function.valves.mode = server("@error backend it broke", "The"), "rewrite"
    body, said = inlet(function)
    assert body["messages"][-1]["content"] == X and "it broke" in said[0]
    function.valves.strict = True
    with pytest.raises(RuntimeError, match="it broke"):
        inlet(function)


def test_fallback(scripted):
    """What the guard refuses is a failure, too."""
    function = with_engine(load(), scripted(REWRITE.replace("Egypt", "Egypt for 1492 miles")))
    function.valves.mode = "rewrite"
    body, said = inlet(function)
    assert body["messages"][-1]["content"] == X and said[0].startswith("s2a: step 1 failed")
    function.valves.strict = True
    with pytest.raises(RuntimeError):
        inlet(function)


def test_no_server():
    function = load()
    function.valves.url = "http://127.0.0.1:9/v1"
    body, said = inlet(function)
    assert body["messages"][-1]["content"] == X and "refused" in said[0]


def test_in_open_webui(server, tmp_path, monkeypatch):
    """Open WebUI's loader takes the text of the file, and its pipeline runs the filter with valves of the database."""
    for name, value in {"DATA_DIR": tmp_path, "DATABASE_URL": f"sqlite:///{tmp_path}/webui.db", "WEBUI_SECRET_KEY": "x",
                        "OFFLINE_MODE": "true"}.items():
        monkeypatch.setenv(name, str(value))
    if os.environ.get("S2A_REQUIRE_OPENWEBUI") != "1":
        pytest.importorskip("open_webui", exc_type=ImportError)
    from open_webui.utils import filter as pipeline
    from open_webui.utils import plugin

    frontmatter = plugin.extract_frontmatter(SOURCE)
    assert frontmatter["title"] == "System 2 Attention" and "requirements" not in frontmatter
    function = types.SimpleNamespace(id="s2a", content=SOURCE)
    request = types.SimpleNamespace(state=types.SimpleNamespace(), app=types.SimpleNamespace(state=types.SimpleNamespace()))
    context = pipeline.FilterContext()
    context.valves_by_id = {"s2a": {"url": server(REWRITE, "The"), "mode": "rewrite"}}
    said = []

    async def emit(event):
        said.append(event["data"]["description"])

    body = {"model": "m", "messages": [{"role": "user", "content": X}]}
    body, _ = asyncio.run(pipeline.process_filter_functions(
        request, context, [function], "inlet", body, {"__event_emitter__": emit, "__user__": {"id": "u"}}))
    assert body["messages"] == [{"role": "user", "content": XPRIME}] and said == ["s2a: the model gets: " + XPRIME]
