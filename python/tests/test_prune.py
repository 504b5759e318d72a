"""s2a.prune."""
import pytest

import s2a

Q = "Who wrote it?"
KEEP_FIRST = "@score 6 6\n@score -6 6"


def test_prune(scripted):
    engine = scripted(KEEP_FIRST, "@score -6 6\n@score -6 6", "@score 6 6\n@score 6 6")
    documents = ["Das Gedicht ist größer. The cat sleeps.\n", "It rains. The cat sleeps.", " It is\n\nfrom 1855. Yes. \n"]
    pruned = s2a.prune(engine, Q, documents)
    assert [p.text for p in pruned] == ["Das Gedicht ist größer.", "", documents[2]]
    for document, p in zip(documents, pruned):
        assert all(document[s.start:s.end] == s.text for s in p.removed)
    assert [s.text for s in pruned[0].removed] == ["The cat sleeps."] and not pruned[2].removed


def test_empty(scripted):
    engine = scripted("@error internal nothing is to be read")
    assert s2a.prune(engine, Q, []) == []
    assert s2a.prune(engine, Q, ["", " \n"]) == [s2a.Pruned("", []), s2a.Pruned(" \n", [])]


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
    with pytest.raises(TypeError, match="context: a str is expected, not int"):
        s2a.prune(scripted(KEEP_FIRST), Q, [1])
    with pytest.raises(s2a.InputError):
        s2a.prune(scripted(KEEP_FIRST), "", ["It rains."])
