"""The exceptions: one for each status of the C library that a program may want to tell from others."""
from __future__ import annotations

from . import _abi


class Error(Exception):
    """What the C library returned.

    The text is one line: what, where, what to do. `status` is the name in s2a.h, such as "S2A_TIMEOUT". `position` is
    the byte offset of the fault in the text or file, or None.
    """

    status = "S2A_INTERNAL"

    def __init__(self, message: str, status: str | None = None, position: int | None = None):
        super().__init__(message)
        if status is not None:
            self.status = status
        self.position = position

    def __reduce__(self):
        return type(self), (str(self), self.status, self.position)


class ArgumentError(Error, ValueError):
    """An argument has a wrong value."""

    status = "S2A_ARGUMENT"


class InputError(Error, ValueError):
    """The text is empty or not UTF-8, or a file is not what it should be."""

    status = "S2A_INPUT"


class LimitError(Error, ValueError):
    """The text is longer than 16 MiB or does not fit the context, or there are too many protected texts."""

    status = "S2A_LIMIT"


class PromptError(Error):
    """A file of prompts_dir is not a valid prompt file."""

    status = "S2A_PROMPT"


class ModelError(Error):
    """The model cannot be used: not a GGUF file, cut off, without a chat template."""

    status = "S2A_MODEL"


class ModelMissing(ModelError):
    """The model is not on this machine. The text has the command that fetches it."""

    status = "S2A_UNAVAILABLE"


class BackendError(Error):
    """The model or the server failed while it ran."""

    status = "S2A_BACKEND"


class UnavailableError(Error):
    """The server does not answer, or the backend was not built in."""

    status = "S2A_UNAVAILABLE"


class UnsupportedError(Error):
    """This backend cannot do it, such as mode select without a judge."""

    status = "S2A_UNSUPPORTED"


class TimedOut(Error, TimeoutError):
    """A time limit of the engine passed."""

    status = "S2A_TIMEOUT"


class Cancelled(Error):
    """A Cancel was fired, or the engine was closed."""

    status = "S2A_CANCELLED"


class OutOfMemory(Error, MemoryError):
    """Memory could not be allocated."""

    status = "S2A_NOMEM"


_CLASSES: dict[str, type[Error]] = {
    c.status: c
    for c in (ArgumentError, InputError, LimitError, PromptError, ModelError, BackendError, UnavailableError,
              UnsupportedError, TimedOut, Cancelled, OutOfMemory)
}


def raised(status: int, error: _abi.Error) -> Error:
    """The exception for a status that is not S2A_OK."""
    name = _abi.lib.status_name(status).decode()
    position = None if error.position == _abi.NO_POSITION else error.position
    return _CLASSES.get(name, Error)(error.message.decode(errors="replace"), name, position)


def call(function, *arguments) -> None:
    """Calls a function that returns a status and takes an s2a_error last; raises unless it is S2A_OK."""
    error = _abi.Error()
    status = function(*arguments, error)
    if status:
        raise raised(status, error)
