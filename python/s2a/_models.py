"""Names of models, as the tool has them."""
from __future__ import annotations

import json
import os
import subprocess

from ._abi import native
from ._errors import Error, ModelMissing


def tool() -> str:
    """The path of the tool `s2a` in this package."""
    return native("s2a")


def models() -> dict:
    """What `s2a models --json` prints: "dir", and "models" with the name, aliases, state and path of each."""
    done = subprocess.run([tool(), "models", "--json"], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise Error(done.stderr.strip() or f"s2a models: status {done.returncode}", "S2A_IO")
    return json.loads(done.stdout)


def _called(model: dict, name: str) -> bool:
    return name.lower() in (n.lower() for n in (model["name"], model["file"], *model["aliases"]))


def resolve(name: str | os.PathLike | None) -> str:
    """The file that a model's name means; None is the tool's default model. A path object is a file; so is, as with the
    tool's --model, a name that has a slash or ends in .gguf, if it exists. ModelMissing says how to get a model that is
    not there."""
    if isinstance(name, os.PathLike):
        return os.fspath(name)
    if name is not None and ("/" in name or name.lower().endswith(".gguf")) and os.path.exists(name):
        return name
    for model in models()["models"]:
        if model["role"] == "default" if name is None else _called(model, name):
            if model["state"] != "downloaded":
                called = model["name"]
                raise ModelMissing(f"model {name or called}: not downloaded: run `python -m s2a pull {called}`")
            return model["path"]
    if name is None:
        raise ModelMissing("the manifest has no default model: name one")
    raise ModelMissing(f"model {name}: no such file or name: name a GGUF file, or a model that `python -m s2a models` "
                       "lists")
