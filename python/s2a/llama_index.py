"""LlamaIndex: a node postprocessor. Needs llama-index-core: `pip install s2a[llama-index]`."""
from __future__ import annotations

from llama_index.core.bridge.pydantic import ConfigDict, Field
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.schema import NodeWithScore, QueryBundle

from . import Engine, prune


class S2APostprocessor(BaseNodePostprocessor):
    """Removes from each text node what the query does not need. Nodes of which nothing is left are dropped; the others
    are copies with their id, metadata and score. Nodes without text, such as images, pass through."""

    engine: Engine = Field(exclude=True)
    threshold: float | None = None
    keep: float | None = None

    model_config = ConfigDict(arbitrary_types_allowed=True)

    @classmethod
    def class_name(cls) -> str:
        return "S2APostprocessor"

    def _postprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        if query_bundle is None:
            raise ValueError("S2APostprocessor: a query is needed; give query_str or query_bundle")
        texts = [_text(n) for n in nodes]
        pruned = prune(self.engine, query_bundle.query_str, texts, threshold=self.threshold, keep=self.keep)
        return [_with_text(n, p.text) if p.removed else n for n, p in zip(nodes, pruned) if p.text or not p.removed]


def _text(node: NodeWithScore) -> str:
    return getattr(node.node, "text", None) or ""


def _with_text(node: NodeWithScore, text: str) -> NodeWithScore:
    copy = node.node.model_copy()
    copy.set_content(text)
    return NodeWithScore(node=copy, score=node.score)
