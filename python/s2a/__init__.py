"""System 2 Attention: drops what should not count from a prompt before answering it.

    import s2a

    with s2a.Engine() as engine:
        result = engine.answer("I think it is the Amazon. The river flows through Egypt. Which river is it?")
        print(result.removed[0].text)
        print(result.answer)

docs/python.md describes the package.
"""
from ._abi import lib as _lib
from ._call import AsyncStream, Cancel, Stream
from ._engine import Engine
from ._errors import (
    ArgumentError,
    BackendError,
    Cancelled,
    Error,
    InputError,
    LimitError,
    ModelError,
    ModelMissing,
    OutOfMemory,
    PromptError,
    TimedOut,
    UnavailableError,
    UnsupportedError,
)
from ._models import models, tool
from ._prune import Pruned, prune
from ._result import Document, Result, Span, StepUsage, Turn, Unit, Usage

__version__: str = _lib.version().decode()

__all__ = [
    "ArgumentError", "AsyncStream", "BackendError", "Cancel", "Cancelled", "Document", "Engine", "Error", "InputError", "LimitError",
    "ModelError", "ModelMissing", "OutOfMemory", "PromptError", "Pruned", "Result", "Span", "StepUsage", "Stream",
    "TimedOut", "Turn", "UnavailableError", "Unit", "UnsupportedError", "Usage", "models", "prune", "tool",
]
