"""Running one request: in a thread where the caller must stay responsive, and ended by cancel handles."""
from __future__ import annotations

import asyncio
import atexit
import ctypes
import queue
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import TYPE_CHECKING

from . import _abi, _errors, _result

if TYPE_CHECKING:
    from ._engine import Engine

EXIT_WAIT_S = 10.0


class Cancel:
    """Ends the requests that were started with it: they raise Cancelled within a token, or within 50 ms if a server
    answers. One may serve many requests, one after another or at once."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._fired = False
        self._calls: set[Call] = set()

    @property
    def fired(self) -> bool:
        return self._fired

    def fire(self) -> None:
        """From any thread, also from a signal handler. Requests that start later end at once, until reset."""
        with self._lock:
            self._fired = True
            for call in tuple(self._calls):
                call.cancel()

    def reset(self) -> None:
        """Makes it usable again; requests that were cancelled stay so."""
        self._fired = False

    def _add(self, call: Call) -> None:
        with self._lock:
            self._calls.add(call)
            if self._fired:
                call.cancel()

    def _remove(self, call: Call) -> None:
        with self._lock:
            self._calls.discard(call)


class Handle:
    """An object of the C library, freed with this one."""

    def __init__(self, value: int | None, free: Callable[[int], None]):
        if not value:
            raise _errors.OutOfMemory("out of memory")
        self.value, self._free = value, free

    def __del__(self) -> None:
        if getattr(self, "value", None):
            self._free(self.value)


_live: set[Call] = set()


class Call:
    """A request of its own with a cancel handle of its own, run at most once."""

    def __init__(self, engine: Engine, request: Handle, answers: bool, cancel: Cancel | None):
        self._engine, self._request, self._user_cancel = engine, request, cancel
        self._handle = Handle(_abi.lib.cancel_new(), _abi.lib.cancel_free)
        self._function = _abi.lib.answer if answers else _abi.lib.attend
        self.done = threading.Event()
        _abi.lib.request_set_cancel(request.value, self._handle.value)

    def cancel(self) -> None:
        _abi.lib.cancel_fire(self._handle.value)

    def run(self, on_piece: Callable[[str], None] | None = None) -> _result.Result:
        """On this thread. on_piece gets the pieces of the answer."""
        def on_token(_ctx, step, text, length):
            if on_piece and step == 2 and length:
                on_piece(ctypes.string_at(text, length).decode())
            return 0

        callback = _abi.TOKEN_FN(on_token) if on_piece else _abi.TOKEN_FN()
        _abi.lib.request_set_on_token(self._request.value, callback, None)
        result = ctypes.c_void_p()
        engine = self._engine._enter(self)
        _live.add(self)
        try:
            if self._user_cancel:
                self._user_cancel._add(self)
            _errors.call(self._function, engine, self._request.value, result)
            return _result.read(result)
        finally:
            _abi.lib.result_free(result)
            if self._user_cancel:
                self._user_cancel._remove(self)
            _live.discard(self)
            self._engine._leave(self)
            self.done.set()

    def start(self, ended: Callable[[_result.Result | None, BaseException | None], None],
              on_piece: Callable[[str], None] | None = None) -> None:
        """On a thread of its own, on which ended is called."""
        def body() -> None:
            result = error = None
            try:
                result = self.run(on_piece)
            except BaseException as e:
                error = e
            ended(result, error)

        threading.Thread(target=body, name="s2a", daemon=True).start()

    def wait(self) -> _result.Result:
        """Runs it. On the main thread Ctrl-C ends it: the C call is on another one, so that Python sees the signal."""
        if threading.current_thread() is not threading.main_thread():
            return self.run()
        outcome: list = []
        ended = threading.Event()

        def end(result, error) -> None:
            outcome.extend((result, error))
            ended.set()

        self.start(end)
        try:
            ended.wait()
        except BaseException:
            self.cancel()
            ended.wait()
            raise
        result, error = outcome
        if error:
            raise error
        return result

    async def wait_async(self) -> _result.Result:
        """The same in an event loop; cancelling the task ends the C call, and waits for that."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future = loop.create_future()

        def settle(result, error) -> None:
            if not future.done():
                future.set_exception(error) if error else future.set_result(result)

        self.start(lambda *outcome: _to_loop(loop, settle, *outcome))
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            self.cancel()
            await asyncio.wait([future])
            future.exception()  # seen: it is Cancelled
            raise


def _to_loop(loop: asyncio.AbstractEventLoop, function: Callable, *arguments) -> None:
    try:
        loop.call_soon_threadsafe(function, *arguments)
    except RuntimeError:
        pass  # the loop was closed: nobody waits


@atexit.register
def _end_all() -> None:
    """Threads of a program that ends may not be inside the C library when its memory goes."""
    calls = tuple(_live)
    for call in calls:
        call.cancel()
    for call in calls:
        call.done.wait(EXIT_WAIT_S)


class _End:
    """The last item of a stream's queue."""

    def __init__(self, result: _result.Result | None, error: BaseException | None):
        self.result, self.error = result, error


class Stream(Iterator[str]):
    """The pieces of an answer as they are generated, in order; together they are the answer. close, the end of a
    `with` block, and dropping it cancel what still runs. `result` is the Result once the last piece was taken."""

    result: _result.Result | None = None

    def __init__(self, call: Call):
        self._outcome: list[_result.Result] = []
        self._pieces = _pieces(call, self._outcome)

    def __next__(self) -> str:
        try:
            return next(self._pieces)
        finally:
            if self._outcome:
                self.result = self._outcome[0]

    def close(self) -> None:
        self._pieces.close()

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _pieces(call: Call, outcome: list):
    items: queue.SimpleQueue = queue.SimpleQueue()
    ended = threading.Event()

    def end(result, error) -> None:
        items.put(_End(result, error))
        ended.set()

    call.start(end, items.put)
    try:
        while not isinstance(item := items.get(), _End):
            yield item
        if item.error:
            raise item.error
        outcome.append(item.result)
    finally:
        call.cancel()
        ended.wait()


class AsyncStream(AsyncIterator[str]):
    """The same in an event loop. Cancelling the task that waits for a piece ends the C call; so do aclose and the end
    of an `async with` block."""

    result: _result.Result | None = None

    def __init__(self, call: Call):
        self._outcome: list[_result.Result] = []
        self._pieces = _async_pieces(call, self._outcome)

    async def __anext__(self) -> str:
        try:
            return await self._pieces.__anext__()
        finally:
            if self._outcome:
                self.result = self._outcome[0]

    async def aclose(self) -> None:
        await self._pieces.aclose()

    async def __aenter__(self) -> AsyncStream:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


async def _async_pieces(call: Call, outcome: list):
    loop = asyncio.get_running_loop()
    items: asyncio.Queue = asyncio.Queue()
    ended = asyncio.Event()

    def end(result, error) -> None:
        items.put_nowait(_End(result, error))
        ended.set()

    call.start(lambda *o: _to_loop(loop, end, *o), lambda piece: _to_loop(loop, items.put_nowait, piece))
    try:
        while not isinstance(item := await items.get(), _End):
            yield item
        if item.error:
            raise item.error
        outcome.append(item.result)
    finally:
        call.cancel()
        await ended.wait()
