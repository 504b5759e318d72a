"""Requests, results and errors, on the replayed backend."""
import copy
import gc
import pickle
import threading
import weakref

import pytest

import s2a
from conftest import REWRITE, SELECT, X, XPRIME


def test_answer(scripted):
    engine = scripted(REWRITE, "The Nile.")
    r = engine.answer(X, mode="rewrite", temperature=0, top_p=1, seed=7, max_tokens=10)
    assert (r.input, r.rewritten, r.answer) == (X, XPRIME, "The Nile.")
    assert (r.context, r.question) == ("The river flows through Egypt.", "Which river is it?")
    assert (r.mode, r.preset, r.model, r.fallback) == ("rewrite", "auto", "replay0.txt", None)
    assert r.prompt.startswith("Unbiased text context: The river flows") and r.step1_text == REWRITE
    assert [u.label for u in r.units] == ["removed", "kept", "question"]
    assert r.usage.step1.completion_tokens > 0 and r.usage.step2.completion_tokens == 2
    assert r.threshold is None and not r.answer_cut and not r.added and not r.turns


def test_attend(scripted):
    r = scripted(SELECT).attend(X)
    assert (r.mode, r.rewritten, r.answer) == ("select", XPRIME, None)
    assert [(s.start, s.end, s.text) for s in r.removed] == [(0, 25, "I think it is the Amazon.")]
    assert [(u.kept, u.label) for u in r.units] == [(False, "opinion"), (True, "needed"), (True, "question")]
    assert r.units[0].score < 0 < r.units[1].score and r.threshold == 0
    assert "".join(u.text for u in r.units) == X and r.usage.step2 == s2a.StepUsage(0, 0, 0, 0, 0, 0.0)


def test_answer_cut(scripted):
    r = scripted(SELECT, "one two three").answer(X, max_tokens=2)
    assert (r.answer, r.answer_cut) == ("one two", True)


def test_offsets(scripted):
    text = "Ich glaube, Müller 🦊 war's. Das Gedicht — 1855. Wer schrieb es?"
    r = scripted(SELECT).attend(text)
    span, = r.removed
    assert span.text == "Ich glaube, Müller 🦊 war's." == text[span.start:span.end]
    assert text.encode()[span.byte_start:span.byte_end].decode() == span.text
    assert (span.end, span.byte_end) == (27, 31)
    for unit in r.units:
        assert text[unit.start:unit.end] == unit.text == text.encode()[unit.byte_start:unit.byte_end].decode()


def test_nul(scripted):
    r = scripted("@score 6 6\n@score 6 6 1").attend("A\0B is here. Who is it?")
    assert r.rewritten == "A\0B is here. Who is it?" and not r.removed


def test_parts(scripted):
    r = scripted("@score 6 6\n@score -6 6").attend(context="The poem is from 1855. The cat sleeps.", question="Who wrote it?",
                                                   preset="relevance")
    assert (r.context, r.question, r.preset) == ("The poem is from 1855.", "Who wrote it?", "relevance")
    assert [s.text for s in r.removed] == ["The cat sleeps."]


def test_messages(scripted):
    r = scripted("@score -9\n@score 9 9 1", SELECT).attend(messages=[
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Größe zählt. Which poem?"},
        {"role": "assistant", "content": "Poe's."},
        {"role": "user", "content": X},
    ])
    turn, = r.turns
    assert (turn.index, turn.input, turn.rewritten) == (1, "Größe zählt. Which poem?", "Which poem?")
    assert [(s.start, s.end, s.byte_end, s.text) for s in turn.removed] == [(0, 12, 15, "Größe zählt.")]
    assert (r.input, r.rewritten) == (X, XPRIME)


def test_protect(scripted):
    assert not scripted(SELECT).attend(X, protect=["the Amazon"]).removed
    assert not scripted(SELECT).attend(X, protect=[(1, 1)]).removed


def test_threshold_and_keep(scripted):
    assert not scripted(SELECT).attend(X, threshold=-9).removed
    assert scripted(SELECT).attend(X, threshold=-9).threshold == -9
    assert len(scripted(SELECT).attend(X, threshold=5.9).removed) >= 1
    assert scripted(SELECT).attend(X, keep=0.99).threshold is None


def test_fallback(scripted):
    r = scripted("Unbiased text context: It is 6650 km long.\n\nQuestion/Query: Which river is it?", "The Nile.").answer(
        X, mode="rewrite")
    assert (r.fallback, r.rewritten, r.answer) == ("new_number", X, "The Nile.") and "6650" in r.fallback_detail


def test_judge(scripted):
    judge = scripted(SELECT)
    engine = scripted("The Nile.", select_engine=judge)
    assert engine.selects and engine.answer(X).mode == "select"
    with pytest.raises(s2a.ArgumentError, match="close that one first"):
        judge.close()
    engine.close()
    judge.close()


def test_properties(scripted):
    engine = scripted("x", ctx_tokens=4096)
    assert engine.model.startswith("replay0") and engine.ctx_tokens == 4096 and engine.selects is False
    assert scripted(SELECT).selects is True
    assert "replay0" in repr(engine)


def test_log(scripted):
    lines = []
    scripted("x", log=lambda level, line: lines.append((level, line))).answer(X, mode="rewrite")
    assert all(isinstance(level, int) and isinstance(line, str) for level, line in lines)


def test_close(scripted):
    engine = scripted("x")
    engine.close()
    engine.close()
    assert "closed" in repr(engine)
    for use in (lambda: engine.model, lambda: engine.attend(X), lambda: engine.stream(X), lambda: engine.selects):
        with pytest.raises(s2a.ArgumentError, match="the engine is closed"):
            use()


def test_close_ends_what_runs(scripted):
    engine = scripted("@sleep 60000\nx")
    errors = []

    def run():
        try:
            engine.attend(X, mode="rewrite")
        except s2a.Error as e:
            errors.append(e)

    thread = threading.Thread(target=run)
    thread.start()
    while not engine._running:
        pass
    engine.close()
    thread.join(5)
    assert isinstance(errors[0], s2a.Cancelled)


def test_dropped_engine_is_closed(tmp_path):
    (tmp_path / "replay").write_text("x\n")
    engine = s2a.Engine(tmp_path / "replay", backend="script")
    engine.attend(X)
    gone = weakref.ref(engine)
    del engine
    gc.collect()
    assert gone() is None


def test_threads(scripted):
    engine = scripted("@sleep 5\n@score 6 -6\n@score 6 6\n@score 6 6 1")
    found = []
    threads = [threading.Thread(target=lambda i=i: found.append(engine.attend(f"I think so {i}. It is {i}. Who?")))
               for i in range(20)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(found) == 20 and all(len(r.removed) == 1 for r in found)


def test_result_can_be_copied(scripted):
    r = scripted(SELECT).attend(X)
    assert pickle.loads(pickle.dumps(r)) == r == copy.deepcopy(r)
    with pytest.raises(AttributeError):
        r.answer = "x"


# ---- errors --------------------------------------------------------------------------------------


@pytest.mark.parametrize("options, message", [
    ({}, "give one of these"),
    ({"text": X, "messages": []}, "give one of these"),
    ({"text": 1}, "text: a str is expected, not int"),
    ({"text": b"x"}, "text: a str is expected, not bytes"),
    ({"context": "x"}, "give both"),
    ({"context": "x", "question": 2}, "question: a str"),
    ({"messages": 3}, "messages: a list"),
    ({"messages": ["x"]}, r"messages\[0\]: a mapping"),
    ({"messages": [{"role": "user"}]}, r"messages\[0\] content: a str is expected, not NoneType"),
    ({"messages": [{"content": "x"}]}, r"messages\[0\] role"),
    ({"text": X, "mode": 1}, "mode: a str"),
    ({"text": X, "threshold": "1"}, "threshold: a number is expected, not str"),
    ({"text": X, "keep": True}, "keep: a number is expected, not bool"),
    ({"text": X, "seed": 1.5}, "seed: an int"),
    ({"text": X, "protect": "abc"}, "protect: a list"),
    ({"text": X, "protect": [1]}, r"protect\[0\]: a str"),
    ({"text": X, "protect": [(1, 2, 3)]}, "a pair of lines"),
    ({"text": X, "cancel": 1}, "cancel: a Cancel"),
    ({"text": X, "odd": 1}, "odd"),
    ({"text": X, "max_tokens": 5}, "attend writes no answer"),
])
def test_types(scripted, options, message):
    with pytest.raises(TypeError, match=message):
        scripted("@error internal C is not to be called").attend(**options)


@pytest.mark.parametrize("options, kind, message", [
    ({"text": X, "mode": "odd"}, s2a.ArgumentError, "there is no mode 'odd'"),
    ({"text": X, "preset": "auto\0"}, s2a.ArgumentError, "NUL"),
    ({"text": X, "keep": 2}, s2a.ArgumentError, "share"),
    ({"text": X, "threshold": float("nan")}, s2a.ArgumentError, "not a finite number"),
    ({"text": X, "threshold": 10 ** 400}, s2a.ArgumentError, "too large"),
    ({"text": X, "temperature": -1}, s2a.ArgumentError, "temperature"),
    ({"text": X, "seed": 2 ** 32}, s2a.ArgumentError, "seed: 4294967296 is not in 0 to 4294967295"),
    ({"text": X, "max_tokens": 0}, s2a.ArgumentError, "max_tokens"),
    ({"text": X, "request_id": "a b"}, s2a.ArgumentError, "visible ASCII"),
    ({"text": X, "protect": [""]}, s2a.InputError, "protect: the text is empty"),
    ({"text": X, "protect": [(2, 1)]}, s2a.ArgumentError, "lines 2 to 1"),
    ({"text": ""}, s2a.InputError, "empty"),
    ({"messages": []}, s2a.ArgumentError, "no prompt"),
    ({"messages": [{"role": "odd", "content": "x"}]}, s2a.ArgumentError, "role"),
    ({"text": "x" * (16 * 1024 * 1024 + 1)}, s2a.LimitError, "16777217 bytes"),
    ({"text": "half \ud83d of it"}, s2a.InputError, "UTF-8"),
])
def test_values(scripted, options, kind, message):
    with pytest.raises(kind, match=message) as e:
        scripted("x").answer(**options)
    assert isinstance(e.value, ValueError) and "\n" not in str(e.value) and e.value.status == kind.status


def test_position(scripted):
    with pytest.raises(s2a.InputError) as e:
        scripted("x").attend("ü \ud83d")
    assert e.value.position == 3
    assert pickle.loads(pickle.dumps(e.value)).position == 3


def test_status(scripted):
    engine = scripted("@error unavailable no such server")
    with pytest.raises(s2a.UnavailableError, match="no such server") as e:
        engine.answer(X, preset="plain")
    assert e.value.status == "S2A_UNAVAILABLE" and not isinstance(e.value, s2a.ModelMissing)
    with pytest.raises(s2a.Error) as e:
        scripted("@error io disk").answer(X, preset="plain")
    assert type(e.value) is s2a.Error and e.value.status == "S2A_IO"


def test_timeout(scripted):
    engine = scripted("@sleep 60000\nx", request_timeout_ms=50)
    with pytest.raises(TimeoutError) as e:
        engine.answer(X, preset="plain")
    assert isinstance(e.value, s2a.TimedOut) and "50 ms" in str(e.value)


def test_no_judge(scripted):
    with pytest.raises(s2a.UnsupportedError):
        scripted("x").attend(X, mode="select")


@pytest.mark.parametrize("options, kind, message", [
    ({"backend": "odd"}, s2a.ArgumentError, "unknown backend"),
    ({"backend": "script", "model": "/none/at/all"}, s2a.ModelError, "/none/at/all"),
    ({"backend": "http", "url": "odd"}, s2a.ArgumentError, "not a base URL"),
    ({"url": "http://127.0.0.1:9/v1", "max_retries": 0}, s2a.UnavailableError, "no connection to"),
    ({"threads": -1}, s2a.ArgumentError, "threads: -1 is not in 0"),
    ({"threads": "2"}, TypeError, "threads: an int"),
    ({"draft": 1}, TypeError, "draft: a bool"),
    ({"model": 1}, TypeError, "model"),
    ({"select_engine": 1}, TypeError, "select_engine"),
    ({"log": 1}, TypeError, "log"),
    ({"url": "http://x\0"}, s2a.ArgumentError, "NUL"),
    ({"prompts_dir": "a\0b"}, s2a.ArgumentError, "NUL"),
    ({"odd": 1}, TypeError, "odd"),
])
def test_open(options, kind, message):
    with pytest.raises(kind, match=message):
        s2a.Engine(**options)


def test_failed_open_releases_the_judge(scripted):
    judge = scripted(SELECT)
    with pytest.raises(s2a.ModelError):
        s2a.Engine("/none", backend="script", select_engine=judge)
    judge.close()
