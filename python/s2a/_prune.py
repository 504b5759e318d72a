"""s2a.prune."""
from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ._call import Cancel
from ._engine import Engine
from ._result import Span


@dataclass(frozen=True)
class Pruned:
    """What is left of a document: text, and the spans of the document that went. text is "" if nothing is left.
    relevance, 0 to 1, ranks the documents of one call."""

    text: str
    removed: list[Span]
    relevance: float


def prune(
    engine: Engine,
    question: str,
    documents: Iterable[str],
    *,
    threshold: float | None = None,
    keep: float | None = None,
    cancel: Cancel | None = None,
) -> list[Pruned]:
    """Removes from each document what the question does not need; returns as many, in the same order.

    The documents are judged together, in mode select with preset relevance: words stay as they are, none are added, and
    if the question needs nothing of any document, all stay as they are. The engine needs a judge (Engine.selects), or it
    raises UnsupportedError. threshold, keep and cancel are those of Engine.attend."""
    documents = list(documents)
    if not any(isinstance(d, str) and d.strip() or not isinstance(d, str) for d in documents):
        return [Pruned(d, [], 0.0) for d in documents]
    result = engine.attend(question=question, documents=documents, mode="select", threshold=threshold, keep=keep,
                           cancel=cancel)
    return [Pruned(d.pruned, d.removed, d.relevance) for d in result.documents]
