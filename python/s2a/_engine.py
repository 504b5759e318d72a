"""s2a.Engine."""
from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from . import _abi, _errors, _models
from ._call import AsyncStream, Call, Cancel, Handle, Stream
from ._result import Result

if TYPE_CHECKING:
    from typing_extensions import Unpack

Mode = Literal["select", "rewrite", "default"]
Preset = Literal["auto", "opinion", "relevance", "single", "keep-original", "not-instructed", "plain", "instructed",
                 "instructed-math", "untrusted"]
Backend = Literal["llama", "http", "script"]
Path = str | os.PathLike

_U32 = 2 ** 32 - 1


# ---- arguments: a wrong type raises TypeError here, a wrong value ArgumentError here or in C ------


def _kind(name: str, value: Any, kind: type | tuple, what: str) -> None:
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise TypeError(f"{name}: {what} is expected, not {type(value).__name__}")


def _integer(name: str, value: Any, low: int = 0, high: int = _U32) -> int:
    _kind(name, value, int, "an int")
    if not low <= value <= high:  # ctypes would take it modulo 2^32
        raise _errors.ArgumentError(f"{name}: {value} is not in {low} to {high}")
    return value


def _number(name: str, value: Any) -> float:
    _kind(name, value, (int, float), "a number")
    try:
        return float(value)
    except OverflowError:
        raise _errors.ArgumentError(f"{name}: the number is too large") from None


def _text(name: str, value: Any) -> bytes:
    """In UTF-8. Halves of surrogate pairs become bytes that C refuses, with their position."""
    _kind(name, value, str, "a str")
    return value.encode("utf-8", "surrogatepass")


def _word(name: str, value: Any) -> bytes:
    """A text that C takes up to a NUL."""
    data = _text(name, value)
    if b"\0" in data:
        raise _errors.ArgumentError(f"{name}: it contains a NUL character")
    return data


def _path(name: str, value: Any) -> bytes:
    _kind(name, value, (str, os.PathLike), "a path")
    data = os.fsencode(value)
    if b"\0" in data:
        raise _errors.ArgumentError(f"{name}: it contains a NUL character")
    return data


def _named(name: str, value: Any, from_name: Callable) -> int:
    number = ctypes.c_int()
    if not from_name(_word(name, value), number):
        raise _errors.ArgumentError(f"{name}: there is no {name} {value!r}")
    return number.value


def _flag(name: str, value: Any) -> bool:
    _kind(name, value, bool, "a bool")
    return value


# How each option is read; those that are not here have a value of their own in Engine.
_READERS: dict[str, Callable] = {
    "url": _word, "api_key": _word, "prompts_dir": _path, "library_dir": _path, "ctx_tokens": _integer,
    "threads": _integer, "gpu_layers": lambda name, value: _integer(name, value, -2 ** 31, 2 ** 31 - 1),
    "connect_timeout_ms": _integer, "idle_timeout_ms": _integer, "request_timeout_ms": _integer,
    "max_retries": _integer, "head": _path, "cache_dir": _path, "step1_cache_dir": _path,
    "step1_cache_bytes": lambda name, value: _integer(name, value, 0, 2 ** 64 - 1), "draft": _flag,
    "kv_bits": _integer, "kernels": _flag,
}


class Options(TypedDict, total=False):
    """What attend takes beside the text."""

    context: str | None
    question: str | None
    documents: Iterable[str] | None
    messages: Iterable[Mapping[str, str]] | None
    mode: Mode | None
    preset: Preset | None
    threshold: float | None
    keep: float | None
    protect: Sequence[str | tuple[int, int]]
    temperature: float | None
    top_p: float | None
    seed: int | None
    request_id: str | None
    cancel: Cancel | None


class AnswerOptions(Options, total=False):
    """What answer and stream take."""

    max_tokens: int | None


class Engine:
    """A loaded model, or a connection to a server. It may be used from any number of threads at once.

    model    backend llama: the name of a model (`python -m s2a models` lists them) or a GGUF file; None is the default
             model. http: the model's name at the server; None is the first one. script: the replay file.
    backend  "llama", "http" (the default with url) or "script".

    The other arguments are the fields of s2a_engine_options in s2a.h, which describes each; one that is None has the
    default of the C library. log is called with a level, 0 (error) to 3 (debug), and a line, from any thread.
    select_engine is another Engine, which judges for this one; close it last.

    Raises ModelMissing, ModelError, UnavailableError and other subclasses of Error.
    """

    def __init__(
        self,
        model: Path | None = None,
        *,
        url: str | None = None,
        backend: Backend | None = None,
        api_key: str | None = None,
        ctx_tokens: int | None = None,
        threads: int | None = None,
        gpu_layers: int | None = None,
        head: Path | None = None,
        select_engine: Engine | None = None,
        prompts_dir: Path | None = None,
        library_dir: Path | None = None,
        cache_dir: Path | None = None,
        step1_cache_dir: Path | None = None,
        step1_cache_bytes: int | None = None,
        connect_timeout_ms: int | None = None,
        idle_timeout_ms: int | None = None,
        request_timeout_ms: int | None = None,
        max_retries: int | None = None,
        draft: bool | None = None,
        kernels: bool | None = None,
        kv_bits: int | None = None,
        log: Callable[[int, str], object] | None = None,
    ):
        given = {name: value for name, value in locals().items() if name in _READERS and value is not None}
        self._handle = ctypes.c_void_p()
        self._lock = threading.Condition(threading.RLock())
        self._running: set[Call] = set()
        self._served = 0  # open engines that this one judges for
        self._judge: Engine | None = None
        options = _abi.engine_options(_abi.lib)
        for name, value in given.items():
            setattr(options, name, _READERS[name](name, value))
        if model is not None:
            _kind("model", model, (str, os.PathLike), "a name or a path")
        backend = ("http" if url is not None else "llama") if backend is None else backend
        options.backend = _word("backend", backend)
        if backend == "llama":
            options.model = _path("model", _models.resolve(model))
        elif model is not None:
            options.model = _path("model", model)
        if log is not None:
            if not callable(log):
                raise TypeError(f"log: a function is expected, not {type(log).__name__}")
            options.log = _abi.LOG_FN(lambda _ctx, level, line: log(level, line.decode(errors="replace")))
        self._log = options.log  # C calls it as long as the engine is open
        if select_engine is not None:
            _kind("select_engine", select_engine, Engine, "an Engine")
            options.select_engine = select_engine._serve()
            self._judge = select_engine
        try:
            _errors.call(_abi.lib.engine_open, ctypes.byref(options), self._handle)
        except BaseException:
            self._unserve()
            raise

    # ---- life ---------------------------------------------------------------------------------

    def close(self) -> None:
        """Cancels what runs, waits for its end and frees the model. A second call does nothing. ArgumentError while
        another engine has this one as its select_engine."""
        with self._lock:
            if self._served:
                raise _errors.ArgumentError("close: it is the select_engine of an open engine; close that one first")
            handle, self._handle = self._handle, ctypes.c_void_p()
            for call in self._running:
                call.cancel()
            self._lock.wait_for(lambda: not self._running)
        if handle:
            _abi.lib.engine_close(handle)
            self._unserve()

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_handle", None):
            self.close()

    def __repr__(self) -> str:
        return f"<s2a.Engine {self.model!r}>" if self._handle else "<s2a.Engine, closed>"

    def _serve(self) -> int:
        with self._lock:
            handle = self._opened()
            self._served += 1
            return handle

    def _unserve(self) -> None:
        if self._judge:
            with self._judge._lock:
                self._judge._served -= 1
            self._judge = None

    def _opened(self) -> int:
        if self._handle.value is None:
            raise _errors.ArgumentError("the engine is closed")
        return self._handle.value

    def _enter(self, call: Call) -> int:
        """The engine for a call, which stays until _leave."""
        with self._lock:
            handle = self._opened()
            self._running.add(call)
            return handle

    def _leave(self, call: Call) -> None:
        with self._lock:
            self._running.discard(call)
            self._lock.notify_all()

    # ---- what it is ---------------------------------------------------------------------------

    @property
    def model(self) -> str:
        """The model's name as the backend knows it."""
        with self._lock:
            return _abi.lib.engine_model(self._opened()).decode(errors="replace")

    @property
    def selects(self) -> bool:
        """Whether mode select is available: this engine, or its select_engine, can judge."""
        with self._lock:
            return _abi.lib.engine_selects(self._opened())

    @property
    def ctx_tokens(self) -> int:
        """The context length in tokens; 0 = unknown."""
        with self._lock:
            return _abi.lib.engine_ctx_tokens(self._opened())

    # ---- requests -----------------------------------------------------------------------------

    def attend(self, text: str | None = None, **options: Unpack[Options]) -> Result:
        """Step 1 alone.

        The prompt is text; or context and question, of which only the context is judged; or documents and question,
        which are judged together, by preset relevance; or messages, in OpenAI's form
        with content that is a string, of which the last one must be the user's.

        mode         "select", "rewrite", or None: select if the engine can judge, else rewrite
        preset       what is removed: "auto" (the default), "opinion", "relevance", "untrusted", ...
        threshold    mode select: keep a sentence if its score is at least this (default: the judge's own threshold)
        keep         mode select: instead, keep the best sentences up to this share of the text, 0 to 1
        protect      mode select: texts whose sentences are kept, and pairs (first, last) of lines, counted from 1
        temperature, top_p, seed   sampling in mode rewrite and for the answer (defaults: 0.6, 0.9, 0)
        request_id   backend http: the X-Request-Id of its HTTP requests
        cancel       a Cancel that may end it

        Raises TypeError, and subclasses of Error."""
        return self._call(False, text, **options).wait()

    def answer(self, text: str | None = None, **options: Unpack[AnswerOptions]) -> Result:
        """Both steps: answers what step 1 kept. Arguments as for attend, and max_tokens, the most tokens of the answer
        (default 1024)."""
        return self._call(True, text, **options).wait()

    def stream(self, text: str | None = None, **options: Unpack[AnswerOptions]) -> Stream:
        """The same as answer, but the pieces of the answer as they are generated."""
        return Stream(self._call(True, text, **options))

    async def aattend(self, text: str | None = None, **options: Unpack[Options]) -> Result:
        """attend in an event loop. Cancelling the task ends the work in C."""
        return await self._call(False, text, **options).wait_async()

    async def aanswer(self, text: str | None = None, **options: Unpack[AnswerOptions]) -> Result:
        """answer in an event loop."""
        return await self._call(True, text, **options).wait_async()

    def astream(self, text: str | None = None, **options: Unpack[AnswerOptions]) -> AsyncStream:
        """stream in an event loop: `async for piece in engine.astream(...)`."""
        return AsyncStream(self._call(True, text, **options))

    def _call(
        self,
        answers: bool,
        text: str | None = None,
        *,
        context: str | None = None,
        question: str | None = None,
        documents: Iterable[str] | None = None,
        messages: Iterable[Mapping[str, str]] | None = None,
        mode: Mode | None = None,
        preset: Preset | None = None,
        threshold: float | None = None,
        keep: float | None = None,
        protect: Sequence[str | tuple[int, int]] = (),
        temperature: float | None = None,
        top_p: float | None = None,
        seed: int | None = None,
        max_tokens: int | None = None,
        request_id: str | None = None,
        cancel: Cancel | None = None,
    ) -> Call:
        lib = _abi.lib
        request = Handle(lib.request_new(), lib.request_free)
        at = request.value
        if cancel is not None:
            _kind("cancel", cancel, Cancel, "a Cancel")
        _set_prompt(at, text, context, question, documents, messages)
        if mode is not None:
            lib.request_set_mode(at, _named("mode", mode, lib.mode_from_name))
        if preset is not None:
            lib.request_set_preset(at, _named("preset", preset, lib.preset_from_name))
        if threshold is not None:
            _errors.call(lib.request_set_threshold, at, _number("threshold", threshold))
        if keep is not None:
            _errors.call(lib.request_set_keep, at, _number("keep", keep))
        _protect(at, protect)
        if not (temperature is None and top_p is None and seed is None):
            _errors.call(lib.request_set_sampling, at, 0.6 if temperature is None else _number("temperature", temperature),
                         0.9 if top_p is None else _number("top_p", top_p), 0 if seed is None else _integer("seed", seed))
        if max_tokens is not None:
            if not answers:
                raise TypeError("max_tokens: attend writes no answer; leave it out")
            lib.request_set_max_tokens(at, _integer("max_tokens", max_tokens, 1))
        if request_id is not None:
            _errors.call(lib.request_set_id, at, _word("request_id", request_id))
        self._opened()
        return Call(self, request, answers, cancel)


def _set_prompt(request: int, text, context, question, documents, messages) -> None:
    asked = question is not None or context is not None or documents is not None
    if (text is not None) + asked + (messages is not None) != 1:
        raise TypeError("the prompt is text, or context and question, or documents and question, or messages: give one of "
                        "these")
    if text is not None:
        data = _text("text", text)
        _errors.call(_abi.lib.request_set_text, request, data, len(data))
    elif messages is not None:
        _set_messages(request, messages)
    elif question is None or (context is None) == (documents is None):
        raise TypeError("question and context, or question and documents: give both")
    elif documents is not None:
        _set_documents(request, question, documents)
    else:
        data, last = _text("context", context), _text("question", question)
        _errors.call(_abi.lib.request_set_parts, request, data, len(data), last, len(last))


def _set_messages(request: int, messages) -> None:
    _kind("messages", messages, Iterable, "a list of messages")
    for i, message in enumerate(messages):
        _kind(f"messages[{i}]", message, Mapping, 'a mapping with "role" and "content"')
        role = _word(f"messages[{i}] role", message.get("role"))
        content = _text(f"messages[{i}] content", message.get("content"))
        _errors.call(_abi.lib.request_add_message, request, role, content, len(content))


def _set_documents(request: int, question, documents) -> None:
    if isinstance(documents, str):
        raise TypeError("documents: a list of texts is expected, not str")
    _kind("documents", documents, Iterable, "a list of texts")
    asked = _text("question", question)
    _errors.call(_abi.lib.request_set_question, request, asked, len(asked))
    for i, document in enumerate(documents):
        data = _text(f"documents[{i}]", document)
        _errors.call(_abi.lib.request_add_document, request, data, len(data))


def _protect(request: int, protect) -> None:
    if isinstance(protect, str):
        raise TypeError("protect: a list of texts is expected, not str")
    _kind("protect", protect, Iterable, "a list of texts")
    lib = _abi.lib
    for i, item in enumerate(protect):
        if isinstance(item, tuple):
            if len(item) != 2:
                raise TypeError(f"protect[{i}]: a pair of lines is expected")
            first, last = (_integer(f"protect[{i}]", line, 0, 2 ** 63) for line in item)
            _errors.call(lib.request_protect_lines, request, first, last)
        else:
            data = _text(f"protect[{i}]", item)
            _errors.call(lib.request_protect_text, request, data, len(data))
