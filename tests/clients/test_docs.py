"""docs/clients.md and docs/serve.md: each block of Python and JavaScript is run as it stands, but for two strings."""
import re
import subprocess
import sys

import pytest

from servers import ANSWER, TOP, clean_environment

CLIENTS = (TOP / "docs/clients.md").read_text()
SERVE = (TOP / "docs/serve.md").read_text()
ADDRESS = "http://127.0.0.1:8080"


def blocks(text, language):
    return re.findall(r"^```%s\n(.*?)^```$" % language, text, re.M | re.S)


PYTHON = blocks(CLIENTS, "python") + blocks(SERVE, "python")
NODE = blocks(CLIENTS, "js")


def run(proxy, tmp_path, block, command, **options):
    assert ADDRESS in block
    code = re.sub(r"s2a-[A-Za-z][\w.-]*", "s2a-tiny", block.replace(ADDRESS, proxy.url.removesuffix("/v1")))
    done = subprocess.run([*command, "-"], input=code, capture_output=True, text=True, timeout=120,
                          env=clean_environment(HOME=str(tmp_path), LITELLM_LOCAL_MODEL_COST_MAP="True"),
                          **options)
    assert done.returncode == 0, done.stderr
    assert ANSWER in done.stdout
    posts = [r for r in proxy.fake.requests() if r["method"] == "POST"]
    assert len(posts) == 2  # step 1 and step 2


def test_count():
    assert len(PYTHON) == 7 and len(NODE) == 2


@pytest.mark.parametrize("block", PYTHON, ids=["%d-%s" % (i, b.split("\n")[0]) for i, b in enumerate(PYTHON)])
def test_python(proxy, tmp_path, block):
    run(proxy, tmp_path, block, [sys.executable])


@pytest.mark.parametrize("block", NODE)
def test_node(proxy, tmp_path, block):
    run(proxy, tmp_path, block, ["node", "--input-type=module"], cwd=TOP / "build/clients/node")
