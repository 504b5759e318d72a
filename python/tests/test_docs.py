"""docs/python.md: each block of Python is run as it stands and prints the block after it. The engine replays; with
S2A_DOCS_LIVE=1 it is the default model."""
import os
import re
import shutil

import pytest

import s2a
from conftest import SELECT, TOP

PAGE = (TOP / "docs/python.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```\n```text\n(.*?)^```$", PAGE, re.M | re.S)
LIVE = os.environ.get("S2A_DOCS_LIVE") == "1"
ANSWER = "The river that flows through Egypt is the Nile."
DOCUMENTS = "@score 6 6\n@score -6 6\n@score -6 6\n@score -6 6"
FRAMEWORKS = {"s2a.langchain": "langchain_core", "s2a.llama_index": "llama_index.core", "s2a.haystack": "haystack"}


def test_count():
    assert len(BLOCKS) == PAGE.count("```python") == 8


def name(block):
    found = re.search(r"s2a\.(langchain|llama_index|haystack|prune|Cancel)|stream\(|astream|url=", block)
    return found.group() if found else "five lines"


@pytest.mark.parametrize("block, printed", BLOCKS, ids=[name(b) for b, _ in BLOCKS])
def test_block(block, printed, tmp_path, monkeypatch, capsys):
    for module, framework in FRAMEWORKS.items():
        if module in block:
            pytest.importorskip(framework, exc_type=ImportError)
            __import__(module)
    if LIVE and "url=" in block:
        pytest.skip("it needs a server")
    if not LIVE:
        (tmp_path / "documents").write_text(DOCUMENTS)
        (tmp_path / "judge").write_text(SELECT)
        (tmp_path / "prompt").write_text(SELECT + "\n%%\n" + ANSWER)
        replay = tmp_path / ("documents" if "documents" in block or "nodes" in block else "prompt")

        class Replayed(s2a.Engine):
            def __init__(self, model=None, *, url=None, select_engine=None, ctx_tokens=None):
                super().__init__(tmp_path / "judge" if model else replay, backend="script", select_engine=select_engine)

        for module in [s2a, *(m for n, m in __import__("sys").modules.items() if n in FRAMEWORKS)]:
            monkeypatch.setattr(module, "Engine", Replayed)
        if "url=" in block:  # step 2 alone
            replay.write_text(ANSWER)
    exec(compile(block, "docs/python.md", "exec"), {"__name__": "docs"})
    assert capsys.readouterr().out == printed


@pytest.mark.skipif(not shutil.which("dpkg"), reason="not Debian")
def test_packages():
    """The packages of the page are those of scripts/bootstrap.sh, except CMake, ninja, npm and make."""
    listed = set(re.search(r"apt-get install (.*?)\n\n", PAGE, re.S).group(1).replace("\\\n", " ").split())
    script = (TOP / "scripts/bootstrap.sh").read_text()
    wanted = set(re.findall(r"^(\S+) \S", re.search(r"<<END\n(.*?)^END$", script, re.M | re.S).group(1), re.M))
    assert listed == wanted - {"make", "cmake", "ninja-build"} | {"python3-venv"}
