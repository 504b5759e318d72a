"""LiteLLM's proxy with s2a serve as its guardrail (Generic Guardrail API): what the proxy sends to the model is without
what should not count, in each of its three APIs. Run by scripts/clients-test.sh --litellm."""
import json
import pathlib
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest

import servers
from servers import X, XPRIME

pytest.importorskip("fastapi")
pytest.importorskip("litellm")

KEY = "sk-" + "0123456789abcdef" * 2
JUDGE = "@score 9 -3\n@score 9 9\n@score 9 9 9\n"
START_S = 300

CONFIG = """
model_list:
  - model_name: tiny
    litellm_params: {model: openai/tiny, api_base: %(fake)s, api_key: none}
  - model_name: tiny-messages
    litellm_params: {model: anthropic/tiny, api_base: %(root)s, api_key: none}
guardrails:
  - guardrail_name: s2a
    litellm_params:
      guardrail: generic_guardrail_api
      mode: pre_call
      api_base: %(guard)s
      default_on: true
general_settings: {master_key: %(key)s}
"""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def post(url, body):
    request = urllib.request.Request(url, json.dumps(body).encode(),
                                     {"Content-Type": "application/json", "Authorization": "Bearer " + KEY})
    with urllib.request.urlopen(request, timeout=120) as answer:
        return json.load(answer)


@pytest.fixture(scope="module")
def proxy(tmp_path_factory):
    """(url of LiteLLM's proxy, the server behind it)"""
    folder = tmp_path_factory.mktemp("litellm")
    (folder / "judge.txt").write_text(JUDGE)
    fake = servers.Fake()
    guard = servers.S2a("--backend", "script", "--model", str(folder / "judge.txt"), "--access-log", "off")
    port = free_port()
    (folder / "config.yaml").write_text(CONFIG % {
        "fake": fake.url, "root": fake.url.removesuffix("/v1"), "guard": guard.url.removesuffix("/v1"), "key": KEY})
    program = pathlib.Path(sys.executable).parent / "litellm"
    environment = servers.clean_environment(LITELLM_LOCAL_MODEL_COST_MAP="True", LITELLM_TELEMETRY="False")
    with open(folder / "log", "w") as log:
        process = subprocess.Popen([str(program), "--config", str(folder / "config.yaml"), "--port", str(port),
                                    "--host", "127.0.0.1"], stdout=log, stderr=log, cwd=folder, env=environment)
    url = "http://127.0.0.1:%d" % port
    end = time.monotonic() + START_S
    try:
        while True:
            try:
                urllib.request.urlopen(url + "/health/liveliness", timeout=5).close()
                break
            except (urllib.error.URLError, OSError):
                if process.poll() is not None or time.monotonic() > end:
                    pytest.fail("litellm does not start: " + (folder / "log").read_text()[-1500:])
                time.sleep(1)
        yield url, fake
    finally:
        process.terminate()
        process.wait(30)
        guard.stop()
        fake.stop()


def test_chat(proxy):
    url, fake = proxy
    post(url + "/v1/chat/completions", {"model": "tiny", "messages": [
        {"role": "system", "content": "I think you are kind."}, {"role": "user", "content": X}]})
    assert fake.last()["json"]["messages"] == [
        {"role": "system", "content": "I think you are kind."}, {"role": "user", "content": XPRIME}]


def test_responses(proxy):
    url, fake = proxy
    post(url + "/v1/responses", {"model": "tiny", "input": X})
    assert fake.last()["json"]["input"] == XPRIME


def test_messages(proxy):
    url, fake = proxy
    post(url + "/v1/messages", {"model": "tiny-messages", "max_tokens": 9, "messages": [{"role": "user", "content": X}]})
    assert fake.last()["json"]["messages"] == [{"role": "user", "content": XPRIME}]
