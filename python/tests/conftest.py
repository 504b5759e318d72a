"""The tests run against the installed package. Most use the backend `script`, which replays a file; `live` ones use a small
model that `s2a pull` has fetched, and are skipped where there is none."""
import os
import pathlib

import pytest

import s2a

os.environ.update({"HAYSTACK_TELEMETRY_ENABLED": "False", "LANGCHAIN_TRACING_V2": "false", "DO_NOT_TRACK": "1"})

TOP = pathlib.Path(__file__).resolve().parents[2]
REQUIRE = os.environ.get("S2A_REQUIRE_LIVE") == "1"

X = "I think it is the Amazon. The river flows through Egypt. Which river is it?"
XPRIME = "The river flows through Egypt. Which river is it?"
REWRITE = "Unbiased text context: The river flows through Egypt.\n\nQuestion/Query: Which river is it?"
SELECT = "@score 6 -6\n@score 6 6\n@score 6 6 1"  # an opinion, a needed sentence, the question


@pytest.fixture
def scripted(tmp_path):
    """scripted(record, ...): an engine that replays these records."""
    engines = []

    def make(*records, **options):
        path = tmp_path / f"replay{len(engines)}.txt"
        path.write_text("\n%%\n".join(records) + "\n")
        engines.append(s2a.Engine(path, backend="script", **options))
        return engines[-1]

    yield make
    for engine in reversed(engines):
        engine.close()


def missing(what):
    if REQUIRE:
        pytest.fail("missing is " + what)
    pytest.skip("missing is " + what)


@pytest.fixture(scope="session")
def live():
    """A small real model."""
    path = os.environ.get("S2A_TEST_MODEL")
    try:
        engine = s2a.Engine(pathlib.Path(path) if path else "135m", ctx_tokens=1024, threads=1)
    except s2a.ModelMissing as e:
        missing(str(e))
    with engine:
        yield engine
