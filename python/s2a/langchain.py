"""LangChain: a document compressor. Needs langchain-core: `pip install s2a[langchain]`."""
from __future__ import annotations

from collections.abc import Sequence

from langchain_core.callbacks import Callbacks
from langchain_core.documents import BaseDocumentCompressor, Document
from pydantic import ConfigDict

from . import Engine, prune


class S2ACompressor(BaseDocumentCompressor):
    """Removes from each document what the query does not need. Documents of which nothing is left are dropped; the
    others keep their metadata and their id."""

    engine: Engine
    threshold: float | None = None
    keep: float | None = None

    model_config = ConfigDict(arbitrary_types_allowed=True)

    def compress_documents(
        self, documents: Sequence[Document], query: str, callbacks: Callbacks | None = None
    ) -> Sequence[Document]:
        pruned = prune(self.engine, query, [d.page_content for d in documents], threshold=self.threshold, keep=self.keep)
        return [d.model_copy(update={"page_content": p.text}) for d, p in zip(documents, pruned)
                if p.text or not p.removed]
