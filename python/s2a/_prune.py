"""s2a.prune."""
from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ._call import Cancel
from ._engine import Engine
from ._result import Span


@dataclass(frozen=True)
class Pruned:
    """What is left of a document: text, and the spans of the document that went. text is "" if nothing is left."""

    text: str
    removed: list[Span]


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

    Mode select with preset relevance: words stay as they are, none are added. The engine needs a judge
    (Engine.selects), or it raises UnsupportedError. A document without text, and one that step 1 could not judge
    (fallback), comes back as it is. threshold, keep and cancel are those of Engine.attend."""
    return [_prune_one(engine, question, d, threshold, keep, cancel) for d in documents]


def _prune_one(engine, question, document, threshold, keep, cancel) -> Pruned:
    if isinstance(document, str) and not document.strip():
        return Pruned(document, [])
    result = engine.attend(context=document, question=question, mode="select", preset="relevance", threshold=threshold,
                           keep=keep, cancel=cancel)
    if result.fallback or not result.removed:
        return Pruned(document, [])
    return Pruned(result.context or "", result.removed)
