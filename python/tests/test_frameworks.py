"""The integrations, in the frameworks themselves; each is skipped where its framework is not installed."""
import asyncio
import os

import pytest

import s2a

Q = "Who wrote it?"
TEXTS = ["The poem is from 1855. The cat sleeps.", "It rains. The cat sleeps.", "Whitman wrote it. Yes."]
LEFT = ["The poem is from 1855.", "Whitman wrote it. Yes."]
SCORES = ["\n".join(f"@score {helpful} 6" for helpful in (6, -6, -6, -6, 5, 5))]


def framework(name):
    if os.environ.get("S2A_REQUIRE_FRAMEWORKS") == "1":
        return __import__(name, fromlist=["x"])
    return pytest.importorskip(name, exc_type=ImportError)


# ---- LangChain -----------------------------------------------------------------------------------


def langchain_documents():
    documents = framework("langchain_core.documents")
    return [documents.Document(t, id=str(i), metadata={"n": i}) for i, t in enumerate(TEXTS)]


def test_langchain(scripted):
    documents = langchain_documents()
    from s2a.langchain import S2ACompressor

    engine = scripted(*SCORES)
    compressor = S2ACompressor(engine=engine)
    for left in (compressor.compress_documents(documents, Q), asyncio.run(compressor.acompress_documents(documents, Q))):
        assert [(d.page_content, d.id, d.metadata) for d in left] == [(LEFT[0], "0", {"n": 0}), (LEFT[1], "2", {"n": 2})]
    assert [d.page_content for d in documents] == TEXTS
    assert len(S2ACompressor(engine=engine, threshold=-9).compress_documents(documents, Q)) == 3
    assert compressor.compress_documents([], Q) == []
    with pytest.raises(ValueError):
        S2ACompressor(engine="x")


def test_langchain_retriever(scripted):
    documents = langchain_documents()
    retrievers = framework("langchain_classic.retrievers")
    from langchain_core.retrievers import BaseRetriever
    from s2a.langchain import S2ACompressor

    class All(BaseRetriever):
        def _get_relevant_documents(self, query, *, run_manager):
            return documents

    retriever = retrievers.ContextualCompressionRetriever(base_compressor=S2ACompressor(engine=scripted(*SCORES)),
                                                          base_retriever=All())
    assert [d.page_content for d in retriever.invoke(Q)] == LEFT


# ---- LlamaIndex ----------------------------------------------------------------------------------


def test_llama_index(scripted):
    core = framework("llama_index.core")
    from llama_index.core.schema import ImageNode, NodeWithScore, TextNode
    from s2a.llama_index import S2APostprocessor

    nodes = [NodeWithScore(node=TextNode(text=t, id_=str(i), metadata={"n": i}), score=i / 10) for i, t in enumerate(TEXTS)]
    postprocessor = S2APostprocessor(engine=scripted(*SCORES))
    left = postprocessor.postprocess_nodes(nodes, query_str=Q)
    assert [(n.text, n.score, n.node.node_id, n.metadata) for n in left] == [(LEFT[0], 0, "0", {"n": 0}),
                                                                            (LEFT[1], 0.2, "2", {"n": 2})]
    assert [n.text for n in nodes] == TEXTS
    image = NodeWithScore(node=ImageNode(image="eA=="), score=1)
    assert postprocessor.postprocess_nodes([image], query_str=Q) == [image]
    with pytest.raises(ValueError, match="a query is needed"):
        postprocessor.postprocess_nodes(nodes)
    assert "engine" not in postprocessor.to_dict()
    asked = core.SummaryIndex([n.node for n in nodes]).as_query_engine(
        llm=core.llms.MockLLM(), node_postprocessors=[S2APostprocessor(engine=scripted(*SCORES))]).query(Q)
    assert [n.text for n in asked.source_nodes] == LEFT


# ---- Haystack ------------------------------------------------------------------------------------


def test_haystack(scripted, tmp_path):
    haystack = framework("haystack")
    from s2a.haystack import S2AFilter

    documents = [haystack.Document(id=str(i), content=t, meta={"n": i}, score=i / 10) for i, t in enumerate(TEXTS)]
    documents.append(haystack.Document(id="3", content=None))
    left = S2AFilter(engine=scripted(*SCORES)).run(query=Q, documents=documents)["documents"]
    assert [(d.content, d.id, d.meta, d.score) for d in left] == [
        (LEFT[0], "0", {"n": 0}, 0), (LEFT[1], "2", {"n": 2}, 0.2), (None, "3", {}, None)]
    assert [d.content for d in documents[:3]] == TEXTS

    (tmp_path / "replay").write_text("\n%%\n".join(SCORES))
    pipeline = haystack.Pipeline()
    pipeline.add_component("s2a", S2AFilter(str(tmp_path / "replay"), {"backend": "script"}, threshold=0.5))
    again = haystack.Pipeline.loads(pipeline.dumps(), allowed_modules=["s2a.haystack"])
    assert again.get_component("s2a").to_dict() == pipeline.get_component("s2a").to_dict()
    for p in (pipeline, again):
        assert [d.content for d in p.run({"s2a": {"query": Q, "documents": documents[:3]}})["s2a"]["documents"]] == LEFT


def test_import_without_a_framework():
    """The package itself needs none."""
    import subprocess
    import sys

    code = "import sys, s2a; print([m for m in ('langchain_core', 'llama_index', 'haystack', 'pydantic') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"


def test_other_backends_have_no_judge(scripted):
    framework("langchain_core.documents")
    from s2a.langchain import S2ACompressor

    with pytest.raises(s2a.UnsupportedError):
        S2ACompressor(engine=scripted("x")).compress_documents(langchain_documents(), Q)
