"""The servers that clients are run against, each a process of its own that is stopped by its id."""
import atexit
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parent.parent
S2A = os.environ.get("S2A_BIN") or str(TOP / "build/release/s2a")
START_S = 60

X = "I think it was Poe. The poem is from 1855. Who wrote it?"
XPRIME = "The poem is from 1855. Who wrote it?"
OPINION = "I think it was Poe."
PARTS = "Unbiased text context: The poem is from 1855.\n\nQuestion/Query: Who wrote it?"
ANSWER = "Walt Whitman wrote it."


# No model of the user's judges in front of a server.
NO_MODELS = str(HERE / "no-models")


def clean_environment(**more):
    """No setting from outside reaches a server or a client, and no model that lies in the user's store."""
    env = {k: v for k, v in os.environ.items()
           if not k.startswith(("S2A_", "OPENAI_", "LITELLM_", "LANGCHAIN_", "LANGSMITH_", "LLM_"))}
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        env.pop(name, None)
    return {**env, "S2A_MODELS": NO_MODELS, "XDG_DATA_HOME": NO_MODELS, **more}


# `timeout` ends a run by SIGTERM: the servers are to be stopped then, too.
signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))


class Process:
    """A server: url is its base, such as http://127.0.0.1:1234/v1."""

    def __init__(self, arguments):
        self.log = tempfile.NamedTemporaryFile("w+", prefix="s2a-clients-", suffix=".log")
        self.process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=self.log,
                                        stdin=subprocess.DEVNULL, env=clean_environment(), text=True)
        atexit.register(self.stop)

    def fault(self, what):
        self.stop()
        self.log.seek(0)
        return RuntimeError("%s: %s" % (what, self.log.read()[-1500:]))

    def read_url(self):
        """The first line of standard output."""
        line = self.process.stdout.readline().strip()
        if not line.startswith("http"):
            raise self.fault("it did not start")
        return line

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(5)
        self.process.stdout.close()


class S2a(Process):
    def __init__(self, *arguments):
        super().__init__([S2A, "serve", "--port", "0", "--drain-ms", "1000", *arguments])
        self.url = self.read_url()


class Fake(Process):
    """fake_openai.py."""

    def __init__(self):
        super().__init__([sys.executable, str(HERE / "fake_openai.py")])
        self.url = self.read_url()

    def call(self, method):
        request = urllib.request.Request(self.url[:-3] + "/_requests", method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def forget(self):
        self.call("DELETE")

    def requests(self):
        """What came; "json" is the body."""
        requests = self.call("GET")
        for r in requests:
            r["raw"] = r.pop("body").encode("latin-1")
            r["json"] = json.loads(r["raw"]) if r["raw"] else None
        return requests

    def last(self):
        return self.requests()[-1]

    def wait_hang_up(self, limit_s=5):
        """True once a request that came has been hung up on."""
        end = time.monotonic() + limit_s
        while time.monotonic() < end:
            if any(r["hung_up"] for r in self.requests()):
                return True
            time.sleep(0.02)
        return False

    def wait_request(self, limit_s=5):
        end = time.monotonic() + limit_s
        while time.monotonic() < end:
            if self.requests():
                return True
            time.sleep(0.02)
        return False


class LlamaServer(Process):
    def __init__(self, program, model):
        port = free_port()
        super().__init__([program, "--model", model, "--host", "127.0.0.1", "--port", str(port),
                          "--ctx-size", "4096", "--parallel", "2", "--threads", "2", "--jinja",
                          "--alias", "small", "--no-webui"])
        self.url = "http://127.0.0.1:%d/v1" % port
        end = time.monotonic() + START_S
        while not self.healthy():
            if self.process.poll() is not None or time.monotonic() > end:
                raise self.fault("llama-server did not start")
            time.sleep(0.1)

    def healthy(self):
        try:
            with urllib.request.urlopen(self.url[:-3] + "/health", timeout=2) as answer:
                return answer.status == 200
        except (urllib.error.URLError, OSError):
            return False


def free_port():
    import socket
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def small_model():
    """The path of the model of live tests, or None."""
    named = os.environ.get("S2A_TEST_MODEL")
    data = os.environ.get("XDG_DATA_HOME") or os.path.expanduser("~/.local/share")
    models = os.environ.get("S2A_MODELS") or data + "/s2a/models"
    path = named or models + "/SmolLM2-135M-Instruct.Q4_1.gguf"
    return path if os.path.isfile(path) else None


def llama_server():
    """The path of llama-server, or None."""
    named = os.environ.get("S2A_LLAMA_SERVER")
    if not named:
        run = subprocess.run([str(TOP / "scripts/build-peer.sh"), "--print"], capture_output=True,
                             text=True, timeout=60)
        named = run.stdout.strip()
    return named if named and os.access(named, os.X_OK) else None
