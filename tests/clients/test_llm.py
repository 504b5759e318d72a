"""Simon Willison's `llm`: the program, with the extra-openai-models.yaml of docs/clients.md."""
import base64
import hashlib
import os
import subprocess
import sys

import pytest

from servers import ANSWER, OPINION, X, clean_environment

IMAGE = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")
PROGRAM = os.path.join(os.path.dirname(sys.executable), "llm")


def setting(url, model, model_id="s2a", more=""):
    return "- model_id: %s\n  model_name: %s\n  api_base: %s\n%s" % (model_id, model, url, more)


def run(folder, *arguments, text="", status=0):
    env = clean_environment(LLM_USER_PATH=str(folder), HOME=str(folder))
    done = subprocess.run([PROGRAM, *arguments], input=text, env=env, capture_output=True, text=True, timeout=120)
    assert (done.returncode == 0) == (status == 0), done.stderr
    return done.stdout.strip() if status == 0 else done.stderr


@pytest.fixture
def ask(tmp_path):
    def with_model(url, model, *arguments, more="", **options):
        (tmp_path / "extra-openai-models.yaml").write_text(setting(url, model, more=more))
        return run(tmp_path, "prompt", "-m", "s2a", *arguments, X, **options)
    return with_model


def test_stream(target, ask):
    text = ask(target.url, target.model, "-o", "max_tokens", "12")
    assert text
    if target.exact:
        assert text == ANSWER
    if target.fake:
        sent = target.fake.last()["json"]
        assert sent["stream"] is True and OPINION not in sent["messages"][0]["content"]


def test_whole(target, ask):
    text = ask(target.url, target.model, "--no-stream", "-o", "max_tokens", "12")
    assert text
    if target.exact:
        assert text == ANSWER


def test_tools(proxy, ask):
    code = "def weather(city: str) -> str:\n    'The weather in a city'\n    return 'sunny in ' + city\n"
    text = ask(proxy.url, "s2a-tiny", "--functions", code, more="  supports_tools: true\n")
    assert text.endswith("It is sunny in Oslo.")
    assert OPINION not in proxy.fake.last()["json"]["messages"][0]["content"]


def test_schema(proxy, ask):
    text = ask(proxy.url, "s2a-tiny", "--schema", "author, year int", more="  supports_schema: true\n")
    assert '"year": 1855' in text


def test_image(proxy, ask, tmp_path):
    picture = tmp_path / "a.png"
    picture.write_bytes(IMAGE)
    text = ask(proxy.url, "s2a-tiny", "-a", str(picture), more="  vision: true\n")
    assert text.endswith(hashlib.sha256(IMAGE).hexdigest())


def test_completion(proxy, ask):
    assert ask(proxy.url, "s2a-tiny", more="  completion: true\n") == ANSWER


@pytest.mark.parametrize("model, said", [
    ("fail-400", "fake 400"), ("fail-401", "fake 401"), ("nobody", "nobody")])
def test_faults(proxy, ask, model, said):
    for prefix in ("", "s2a-"):
        assert said in ask(proxy.url, prefix + model, "--no-stream", status=1)
