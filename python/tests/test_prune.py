"""s2a.prune."""
import pytest

import s2a

Q = "Who wrote it?"
KEEP_FIRST = "@score 6 6\n@score -6 6"


def scores(*helpful):
    return "\n".join(f"@score {score} 6" for score in helpful)


def test_prune(scripted):
    engine = scripted(scores(6, -6, -6, -6, 5, 7))
    documents = ["Das Gedicht ist größer. The cat sleeps.\n", "It rains. The cat sleeps.", " It is\n\nfrom 1855. Yes. \n"]
    pruned = s2a.prune(engine, Q, iter(documents))
    assert [p.text for p in pruned] == ["Das Gedicht ist größer.", "", documents[2]]
    for document, p in zip(documents, pruned):
        assert all(document[s.start:s.end] == s.text for s in p.removed)
    assert [s.text for s in pruned[0].removed] == ["The cat sleeps."] and not pruned[2].removed
    assert pruned[2].relevance > pruned[0].relevance > pruned[1].relevance


def test_documents(scripted):
    """What prune is made of."""
    result = scripted(scores(6, -6, -6)).attend(question=Q, documents=["Ärger. It rains.", "", "No."])
    assert [d.pruned for d in result.documents] == ["Ärger.", "", ""] and result.preset == "relevance"
    first = result.documents[0]
    assert [(u.text, u.start, u.byte_end, u.kept) for u in first.units] == [("Ärger. ", 0, 8, True), ("It rains.", 7, 17, False)]
    assert [(s.start, s.end) for s in first.removed] == [(7, 16)]
    assert s2a.prune(scripted(scores(-6, -6)), Q, ["It rains.", "No."])[1].text == "No."


def test_empty(scripted):
    engine = scripted("@error internal nothing is to be read")
    assert s2a.prune(engine, Q, []) == []
    assert s2a.prune(engine, Q, ["", " \n"]) == [s2a.Pruned("", [], 0.0), s2a.Pruned(" \n", [], 0.0)]
    assert s2a.prune(scripted(scores(6, -6)), Q, ["", "Yes. No."])[0].text == ""


def test_options(scripted):
    document = "The poem is old. The cat sleeps."
    assert s2a.prune(scripted(KEEP_FIRST), Q, [document], threshold=-9)[0].text == document
    cancel = s2a.Cancel()
    cancel.fire()
    with pytest.raises(s2a.Cancelled):
        s2a.prune(scripted(KEEP_FIRST), Q, [document], cancel=cancel)


def test_errors(scripted):
    with pytest.raises(s2a.UnsupportedError):
        s2a.prune(scripted("x"), Q, ["It rains."])
    with pytest.raises(TypeError, match=r"documents\[0\]: a str is expected, not int"):
        s2a.prune(scripted(KEEP_FIRST), Q, [1])
    with pytest.raises(s2a.InputError):
        s2a.prune(scripted(KEEP_FIRST), "", ["It rains."])
    with pytest.raises(s2a.LimitError):
        s2a.prune(scripted(KEEP_FIRST), Q, ["a"] * 1025)
    for prompt in ({"documents": ["a"]}, {"documents": ["a"], "question": Q, "context": "b"}, {"question": Q},
                   {"documents": ["a"], "question": Q, "text": "b"}, {"documents": "a", "question": Q},
                   {"documents": 7, "question": Q}):
        with pytest.raises(TypeError):
            scripted(KEEP_FIRST).attend(**prompt)
