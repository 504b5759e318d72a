"""What a request gave, as Python objects that need no C object any more."""
from __future__ import annotations

import ctypes
import math
from dataclasses import dataclass, field

from . import _abi


@dataclass(frozen=True)
class Span:
    """A part of a text: text[start:end]. start and end count characters of the Python string; byte_start and byte_end
    count bytes of its UTF-8 form, as the C library, the tool and the server do."""

    start: int
    end: int
    text: str
    byte_start: int
    byte_end: int


@dataclass(frozen=True)
class Unit(Span):
    """A sentence, or another piece that is kept or removed as a whole. All units together are the input.

    score is the log-odds of being kept in mode select, None for units that are not judged. label is "question", "kept"
    or "removed" in mode rewrite; "question", "needed", "unrelated" or "opinion" in mode select; "question", "data" or
    "instruction" with preset untrusted."""

    kept: bool
    score: float | None
    label: str


@dataclass(frozen=True)
class Turn:
    """An earlier message of the user from which mode select removed text; index counts the messages from 0."""

    index: int
    input: str
    rewritten: str
    removed: list[Span]


@dataclass(frozen=True)
class Document:
    """A document of the request, in its order. pruned is what is left of text, "" if that is nothing; removed and units
    are parts of text. relevance, 0 to 1, ranks the documents of one request."""

    text: str
    pruned: str
    removed: list[Span] = field(repr=False)
    units: list[Unit] = field(repr=False)
    relevance: float


@dataclass(frozen=True)
class StepUsage:
    """Tokens and milliseconds of a step; all zero if it did not run."""

    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    drafted_tokens: int
    accepted_tokens: int
    ms: float


@dataclass(frozen=True)
class Usage:
    """The usage of the two steps."""

    step1: StepUsage
    step2: StepUsage


@dataclass(frozen=True)
class Result:
    """What step 1 made of a prompt, and the answer of step 2.

    input            the text that was judged: the prompt, context and question together, or the last message
    rewritten        x', what is left of it
    context          the context of x', or None if x' has no parts
    question         the question of x', or None
    prompt           the user message of step 2, for programs that send step 2 themselves
    answer           the answer, or None after attend
    answer_cut       True if the answer ended at max_tokens
    removed          spans of input that x' lacks, in order
    added            spans of rewritten whose words are not from the input
    units            the pieces of input
    turns            earlier messages from which text was removed
    documents        what was kept of each document, where the prompt was documents and a question
    fallback         why step 1 was not used and rewritten is the input ("new_number", ...), or None
    fallback_detail  more about that, or ""
    mode, preset     what was done: "select" or "rewrite"; "auto", ...
    model            the model's name
    threshold        the threshold that scores were compared with, or None
    step1_text       mode rewrite: what the model wrote in step 1, or None
    usage            tokens and milliseconds of each step
    """

    input: str
    rewritten: str
    context: str | None
    question: str | None
    prompt: str
    answer: str | None
    answer_cut: bool
    removed: list[Span] = field(repr=False)
    added: list[Span] = field(repr=False)
    units: list[Unit] = field(repr=False)
    turns: list[Turn] = field(repr=False)
    documents: list[Document] = field(repr=False)
    fallback: str | None
    fallback_detail: str
    mode: str
    preset: str
    model: str
    threshold: float | None
    step1_text: str | None = field(repr=False)
    usage: Usage = field(repr=False)


_CONTINUATION = bytes(range(0x80, 0xC0))


class _Text:
    """A text in UTF-8, with the character offsets of byte offsets. It is read once for offsets that ascend."""

    def __init__(self, data: bytes):
        self.data, self.string = data, data.decode()
        self.byte = self.character = 0

    def offset(self, byte: int) -> int:
        if byte < self.byte:
            self.byte = self.character = 0
        self.character += len(self.data[self.byte:byte].translate(None, _CONTINUATION))
        self.byte = byte
        return self.character

    def place(self, start: int, end: int) -> tuple[int, int, str, int, int]:
        """The fields of a Span."""
        first = self.offset(start)
        last = self.offset(end)
        return first, last, self.string[first:last], start, end


def _text(function, result) -> bytes | None:
    length = ctypes.c_size_t()
    at = function(result, length)
    return None if at is None else ctypes.string_at(at, length.value)


def _string(function, result) -> str | None:
    data = _text(function, result)
    return None if data is None else data.decode()


def _spans(count, get, result, text: _Text) -> list[Span]:
    spans = (get(result, i) for i in range(count(result)))
    return [Span(*text.place(s.start, s.end)) for s in spans]


def _unit(unit: _abi.Unit, text: _Text) -> Unit:
    return Unit(*text.place(unit.start, unit.end), kept=unit.kept, score=unit.score if unit.has_score else None,
                label=unit.label.decode())


def _turn(result, index: int) -> Turn:
    turn = _abi.lib.result_turn(result, index)
    text = _Text(ctypes.string_at(turn.input, turn.input_len))
    return Turn(turn.index, text.string, ctypes.string_at(turn.rewritten, turn.rewritten_len).decode(),
                [Span(*text.place(s.start, s.end)) for s in turn.removed[:turn.removed_count]])


def _document(result, index: int) -> Document:
    document = _abi.lib.result_document(result, index)
    text = _Text(ctypes.string_at(document.text, document.text_len))
    removed = [Span(*text.place(s.start, s.end)) for s in document.removed[:document.removed_count]]
    units = [_unit(u, text) for u in document.units[:document.unit_count]]
    return Document(text.string, ctypes.string_at(document.pruned, document.pruned_len).decode(), removed, units,
                    document.relevance)


def _usage(result, step: int) -> StepUsage:
    usage = _abi.lib.result_usage(result, step)
    return StepUsage(*(getattr(usage, name) for name, _ in usage._fields_))


def read(result) -> Result:
    """Copies all of an s2a_result."""
    lib = _abi.lib
    text = _Text(_text(lib.result_input, result) or b"")
    new = _Text(_text(lib.result_rewritten, result) or b"")
    threshold = lib.result_threshold(result)
    fallback = lib.fallback_name(lib.result_fallback(result)).decode()
    return Result(
        input=text.string,
        rewritten=new.string,
        context=_string(lib.result_context, result),
        question=_string(lib.result_question, result),
        prompt=_string(lib.result_prompt, result) or "",
        answer=_string(lib.result_answer, result),
        answer_cut=lib.result_answer_cut(result),
        removed=_spans(lib.result_removed_count, lib.result_removed, result, text),
        added=_spans(lib.result_added_count, lib.result_added, result, new),
        units=[_unit(lib.result_unit(result, i), text) for i in range(lib.result_unit_count(result))],
        documents=[_document(result, i) for i in range(lib.result_document_count(result))],
        turns=[_turn(result, i) for i in range(lib.result_turn_count(result))],
        fallback=None if fallback == "none" else fallback,
        fallback_detail=lib.result_fallback_detail(result).decode(),
        mode=lib.mode_name(lib.result_mode(result)).decode(),
        preset=lib.preset_name(lib.result_preset(result)).decode(),
        model=lib.result_model(result).decode(errors="replace"),
        threshold=None if math.isnan(threshold) else threshold,
        step1_text=_string(lib.result_step1_text, result),
        usage=Usage(_usage(result, 1), _usage(result, 2)),
    )
