"""The places that tests of clients run against.

A test that takes `target` runs once for each: the same calls, and where a place cannot do something
by design, the test says what it does instead.

    script     s2a serve, the replayed backend
    embedded   s2a serve, a small real model                      (where the model is)
    proxy      s2a serve --upstream, in front of fake_openai.py
    peer       llama-server, no s2a                               (where it and the model are)
    front      s2a serve --upstream, in front of that llama-server
"""
import dataclasses
import os
import types

import pytest

import servers

os.environ.update({
    "LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_TELEMETRY": "False",
    "LANGCHAIN_TRACING_V2": "false", "ANONYMIZED_TELEMETRY": "false", "DO_NOT_TRACK": "1",
})
for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_API_BASE", "OPENAI_ORG_ID"):
    os.environ.pop(name, None)

PLACES = ("script", "embedded", "proxy", "peer", "front")
REQUIRE = os.environ.get("S2A_REQUIRE_LIVE") == "1"


@dataclasses.dataclass(frozen=True)
class Target:
    place: str
    url: str
    plain: str            # a model without step 1
    model: str            # with step 1, where there is s2a
    exact: bool = False   # answers are known beforehand
    full: bool = True     # tools, JSON mode; False: refused with status 400 by design
    s2a: bool = True
    fake: object = None   # the server behind


class Places:
    """Starts each when it is first asked for."""

    def __init__(self, folder):
        self.folder = folder
        self.running = {}

    def once(self, name, start):
        if name not in self.running:
            self.running[name] = start()
        return self.running[name]

    def fake(self):
        return self.once("fake", servers.Fake)

    def proxy(self):
        fake = self.fake()
        return self.once("proxy", lambda: servers.S2a("--upstream", fake.url, "--access-log", "off"))

    def script(self):
        """A server of its own for each test: the replay begins with the first record."""
        replay = self.folder / "replay.txt"
        replay.write_text("%s\n%%%%\n%s\n" % (servers.PARTS, servers.ANSWER))
        return servers.S2a("--backend", "script", "--model", str(replay), "--access-log", "off")

    def embedded(self, model):
        return self.once("embedded", lambda: servers.S2a(
            "--model", model, "--threads", "2", "--ctx", "4096", "--access-log", "off"))

    def peer(self, program, model):
        return self.once("peer", lambda: servers.LlamaServer(program, model))

    def front(self, program, model):
        url = self.peer(program, model).url
        return self.once("front", lambda: servers.S2a("--upstream", url, "--access-log", "off"))

    def stop(self):
        for p in reversed(list(self.running.values())):
            p.stop()


@pytest.fixture(scope="session")
def places(tmp_path_factory):
    p = Places(tmp_path_factory.mktemp("clients"))
    yield p
    p.stop()


def missing(what):
    if REQUIRE:
        pytest.fail("missing is " + what)
    pytest.skip("missing is " + what)


def live(places, place):
    model = servers.small_model() or missing("the test model: s2a pull smollm2-135m-instruct")
    if place == "embedded":
        name = os.path.splitext(os.path.basename(model))[0]
        return Target(place, places.embedded(model).url, name, "s2a-" + name)
    program = servers.llama_server() or missing("llama-server: scripts/build-peer.sh")
    if place == "peer":
        return Target(place, places.peer(program, model).url, "small", "small", s2a=False)
    return Target(place, places.front(program, model).url, "small", "s2a-small")


@pytest.fixture(params=PLACES)
def target(request, places):
    place = request.param
    if place == "script":
        server = places.script()
        yield Target(place, server.url, "replay.txt", "s2a-replay.txt", exact=True, full=False)
        server.stop()
    elif place == "proxy":
        fake = places.fake()
        fake.forget()
        yield Target(place, places.proxy().url, "tiny", "s2a-tiny", exact=True, fake=fake)
    else:
        yield live(places, place)


@pytest.fixture
def proxy(places):
    """In front of fake_openai.py: url, and fake for what came there."""
    fake = places.fake()
    fake.forget()
    return types.SimpleNamespace(url=places.proxy().url, fake=fake)
