"""Haystack: a component. Needs haystack-ai: `pip install s2a[haystack]`."""
from __future__ import annotations

from dataclasses import replace

from haystack import Document, component, default_from_dict, default_to_dict

from . import Engine, prune


@component
class S2AFilter:
    """Removes from each document what the query does not need. Documents of which nothing is left are dropped; the
    others keep id, meta and score. Documents without text pass through.

    model and engine_options are the arguments of s2a.Engine, so that a pipeline can be written to YAML; the engine is
    opened by warm_up, or by the first run. engine, in their place, is one that is open."""

    def __init__(self, model: str | None = None, engine_options: dict | None = None, threshold: float | None = None,
                 keep: float | None = None, engine: Engine | None = None):
        self.model, self.engine_options, self.threshold, self.keep = model, engine_options, threshold, keep
        self._engine = engine

    def warm_up(self) -> None:
        self._open()

    def _open(self) -> Engine:
        if self._engine is None:
            self._engine = Engine(self.model, **(self.engine_options or {}))
        return self._engine

    @component.output_types(documents=list[Document])
    def run(self, query: str, documents: list[Document]) -> dict[str, list[Document]]:
        pruned = prune(self._open(), query, [d.content or "" for d in documents], threshold=self.threshold, keep=self.keep)
        return {"documents": [_with_text(d, p.text) if p.removed else d
                              for d, p in zip(documents, pruned) if p.text or not p.removed]}

    def to_dict(self) -> dict:
        return default_to_dict(self, model=self.model, engine_options=self.engine_options, threshold=self.threshold,
                               keep=self.keep)

    @classmethod
    def from_dict(cls, data: dict) -> S2AFilter:
        return default_from_dict(cls, data)


def _with_text(document: Document, text: str) -> Document:
    return replace(document, content=text)
