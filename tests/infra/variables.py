"""Who reads an environment variable: this project's code, a library that is installed, or a program outside of it."""

import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from tests.infra.kustomize import ROOT

_PACKAGES = ("levo", "annotation", "reward", "pipelines", "jobs")
_LIBRARIES = ("mlflow", "ray", "deepspeed", "pyarrow", "botocore", "torch.utils")
_OUTSIDE = {
    # The shell, Python and pip.
    "HOME",
    "PYTHONUNBUFFERED",
    # NVIDIA's container runtime.
    "NVIDIA_VISIBLE_DEVICES",
    "NVIDIA_DRIVER_CAPABILITIES",
}


@cache
def is_known_variable(name: str) -> bool:
    """Whether somebody reads it; a library counts where its sources hold the name as a word."""
    if name in _OUTSIDE:
        return True
    own = (path for package in _PACKAGES for path in (ROOT / package).rglob("*.py"))
    if _holds(own, name):
        return True
    return not name.startswith("LEVO_") and any(_holds(_sources(library), name) for library in _LIBRARIES)


def _holds(paths: "object", name: str) -> bool:
    word = re.compile(rf"\b{name}\b")
    return any(word.search(path.read_text(errors="replace")) for path in paths)  # type: ignore[attr-defined]


def _sources(library: str) -> list[Path]:
    spec = find_spec(library)
    assert spec is not None, library
    return [path for folder in spec.submodule_search_locations or () for path in Path(folder).rglob("*.py")]
