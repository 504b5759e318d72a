"""include/s2a.h by ctypes: structures, functions, and the library itself, which is loaded when this is imported."""
from __future__ import annotations

import ctypes
import os
from ctypes import POINTER, c_bool, c_char, c_char_p, c_double, c_int, c_int32, c_size_t, c_uint32, c_uint64, c_void_p

from . import __path__ as _package

VERSION = (0, 1)  # of the header that this module was written from

NO_POSITION = c_size_t(-1).value

LOG_FN = ctypes.CFUNCTYPE(None, c_void_p, c_int, c_char_p)
TOKEN_FN = ctypes.CFUNCTYPE(c_int, c_void_p, c_int, c_void_p, c_size_t)


class Error(ctypes.Structure):
    _fields_ = [("status", c_int), ("position", c_size_t), ("message", c_char * 480)]


class EngineOptions(ctypes.Structure):
    _fields_ = [
        ("size", c_size_t),
        ("backend", c_char_p),
        ("model", c_char_p),
        ("url", c_char_p),
        ("api_key", c_char_p),
        ("prompts_dir", c_char_p),
        ("library_dir", c_char_p),
        ("ctx_tokens", c_uint32),
        ("threads", c_uint32),
        ("gpu_layers", c_int32),
        ("connect_timeout_ms", c_uint32),
        ("idle_timeout_ms", c_uint32),
        ("request_timeout_ms", c_uint32),
        ("max_retries", c_uint32),
        ("log", LOG_FN),
        ("log_ctx", c_void_p),
        ("head", c_char_p),
        ("cache_dir", c_char_p),
        ("step1_cache_dir", c_char_p),
        ("step1_cache_bytes", c_uint64),
        ("draft", c_bool),
        ("kv_bits", c_uint32),
        ("select_engine", c_void_p),
        ("kernels", c_bool),
    ]


class Span(ctypes.Structure):
    _fields_ = [("start", c_size_t), ("end", c_size_t)]


class Unit(ctypes.Structure):
    _fields_ = [
        ("start", c_size_t),
        ("end", c_size_t),
        ("kept", c_bool),
        ("has_score", c_bool),
        ("score", c_double),
        ("label", c_char_p),
    ]


class Usage(ctypes.Structure):
    _fields_ = [
        ("prompt_tokens", c_uint64),
        ("cached_tokens", c_uint64),
        ("completion_tokens", c_uint64),
        ("drafted_tokens", c_uint64),
        ("accepted_tokens", c_uint64),
        ("ms", c_double),
    ]


class Turn(ctypes.Structure):
    _fields_ = [
        ("index", c_size_t),
        ("input", c_void_p),
        ("rewritten", c_void_p),
        ("input_len", c_size_t),
        ("rewritten_len", c_size_t),
        ("removed", POINTER(Span)),
        ("removed_count", c_size_t),
    ]


class Document(ctypes.Structure):
    _fields_ = [
        ("text", c_void_p),
        ("pruned", c_void_p),
        ("text_len", c_size_t),
        ("pruned_len", c_size_t),
        ("removed", POINTER(Span)),
        ("removed_count", c_size_t),
        ("units", POINTER(Unit)),
        ("unit_count", c_size_t),
        ("relevance", c_double),
    ]


_OBJECT = c_void_p  # an engine, a request, a result, a cancel handle
_STATUS = c_int
_TEXT = (c_void_p, [_OBJECT, POINTER(c_size_t)])

_FUNCTIONS = {
    "version": (c_char_p, []),
    "status_name": (c_char_p, [_STATUS]),
    "engine_options_init": (None, [c_void_p]),
    "engine_open": (_STATUS, [c_void_p, POINTER(_OBJECT), POINTER(Error)]),
    "engine_close": (None, [_OBJECT]),
    "engine_model": (c_char_p, [_OBJECT]),
    "engine_selects": (c_bool, [_OBJECT]),
    "engine_ctx_tokens": (c_uint32, [_OBJECT]),
    "cancel_new": (_OBJECT, []),
    "cancel_free": (None, [_OBJECT]),
    "cancel_fire": (None, [_OBJECT]),
    "mode_name": (c_char_p, [c_int]),
    "preset_name": (c_char_p, [c_int]),
    "mode_from_name": (c_bool, [c_char_p, POINTER(c_int)]),
    "preset_from_name": (c_bool, [c_char_p, POINTER(c_int)]),
    "request_new": (_OBJECT, []),
    "request_free": (None, [_OBJECT]),
    "request_set_text": (_STATUS, [_OBJECT, c_char_p, c_size_t, POINTER(Error)]),
    "request_set_parts": (_STATUS, [_OBJECT, c_char_p, c_size_t, c_char_p, c_size_t, POINTER(Error)]),
    "request_add_message": (_STATUS, [_OBJECT, c_char_p, c_char_p, c_size_t, POINTER(Error)]),
    "request_set_question": (_STATUS, [_OBJECT, c_char_p, c_size_t, POINTER(Error)]),
    "request_add_document": (_STATUS, [_OBJECT, c_char_p, c_size_t, POINTER(Error)]),
    "request_set_mode": (None, [_OBJECT, c_int]),
    "request_set_preset": (None, [_OBJECT, c_int]),
    "request_set_threshold": (_STATUS, [_OBJECT, c_double, POINTER(Error)]),
    "request_set_keep": (_STATUS, [_OBJECT, c_double, POINTER(Error)]),
    "request_protect_text": (_STATUS, [_OBJECT, c_char_p, c_size_t, POINTER(Error)]),
    "request_protect_lines": (_STATUS, [_OBJECT, c_size_t, c_size_t, POINTER(Error)]),
    "request_set_sampling": (_STATUS, [_OBJECT, c_double, c_double, c_uint32, POINTER(Error)]),
    "request_set_max_tokens": (None, [_OBJECT, c_uint32]),
    "request_set_on_token": (None, [_OBJECT, TOKEN_FN, c_void_p]),
    "request_set_id": (_STATUS, [_OBJECT, c_char_p, POINTER(Error)]),
    "request_set_cancel": (None, [_OBJECT, _OBJECT]),
    "attend": (_STATUS, [_OBJECT, _OBJECT, POINTER(_OBJECT), POINTER(Error)]),
    "answer": (_STATUS, [_OBJECT, _OBJECT, POINTER(_OBJECT), POINTER(Error)]),
    "fallback_name": (c_char_p, [c_int]),
    "result_free": (None, [_OBJECT]),
    "result_mode": (c_int, [_OBJECT]),
    "result_preset": (c_int, [_OBJECT]),
    "result_model": (c_char_p, [_OBJECT]),
    "result_input": _TEXT,
    "result_rewritten": _TEXT,
    "result_context": _TEXT,
    "result_question": _TEXT,
    "result_answer": _TEXT,
    "result_prompt": _TEXT,
    "result_step1_text": _TEXT,
    "result_fallback": (c_int, [_OBJECT]),
    "result_fallback_detail": (c_char_p, [_OBJECT]),
    "result_answer_cut": (c_bool, [_OBJECT]),
    "result_unit_count": (c_size_t, [_OBJECT]),
    "result_unit": (Unit, [_OBJECT, c_size_t]),
    "result_threshold": (c_double, [_OBJECT]),
    "result_removed_count": (c_size_t, [_OBJECT]),
    "result_removed": (Span, [_OBJECT, c_size_t]),
    "result_added_count": (c_size_t, [_OBJECT]),
    "result_added": (Span, [_OBJECT, c_size_t]),
    "result_turn_count": (c_size_t, [_OBJECT]),
    "result_turn": (Turn, [_OBJECT, c_size_t]),
    "result_document_count": (c_size_t, [_OBJECT]),
    "result_document": (Document, [_OBJECT, c_size_t]),
    "result_usage": (Usage, [_OBJECT, c_int]),
}


def native(name: str) -> str:
    """The path of a file that the build put into the package: libs2a.so, s2a."""
    for directory in _package:
        path = os.path.join(directory, "native", name)
        if os.path.exists(path):
            return path
    raise ImportError(f"s2a: {name} is not in the package; install it with `pip install .`, not from the source directory")


class Library:
    """The functions of include/s2a.h, without the prefix s2a_."""

    def __init__(self, path: str):
        dll = ctypes.CDLL(path)
        for name, (result, arguments) in _FUNCTIONS.items():
            function = getattr(dll, "s2a_" + name)
            function.restype, function.argtypes = result, arguments
            setattr(self, name, function)
        self.dll = dll

    def __getattr__(self, name: str):  # for type checkers; each attribute is set above
        raise AttributeError(name)


def load(path: str) -> Library:
    """Loads a library; ImportError if it is not of the version that this module knows."""
    library = Library(path)
    version = library.version().decode()
    if tuple(int(part) for part in version.split(".")[:2]) != VERSION:
        wanted = ".".join(map(str, VERSION))
        raise ImportError(f"s2a: {path} is version {version}, and this package needs {wanted}; install both from one source")
    return library


def engine_options(library: Library) -> EngineOptions:
    """The defaults of the library. A newer library's structure is longer than ours, and an older one's is shorter: it
    writes into a buffer with room for both, and its own size stays in the field."""
    room = ctypes.create_string_buffer(max(4096, ctypes.sizeof(EngineOptions)))
    library.engine_options_init(room)
    options = EngineOptions.from_buffer(room)
    if options.size < ctypes.sizeof(EngineOptions):
        raise ImportError(f"s2a: the library's s2a_engine_options has {options.size} bytes, and this package needs "
                          f"{ctypes.sizeof(EngineOptions)}; install both from one source")
    return options


lib = load(native("libs2a.so"))
