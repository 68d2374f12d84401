"""No pickle from outside is run: every call of the packages that could run one is found, and is refused or listed."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

_REPOSITORY = Path(__file__).resolve().parents[2]
_PACKAGES = ("levo", "annotation", "reward", "pipelines", "jobs", "infra")

_NEVER = {
    *(
        f"{module}.{name}"
        for module in ("pickle", "cloudpickle", "dill", "ray.cloudpickle")
        for name in ("load", "loads")
    ),
    *(f"{module}.Unpickler" for module in ("pickle", "cloudpickle", "dill")),
    "marshal.load",
    "marshal.loads",
    "shelve.open",
    "joblib.load",
    "pandas.read_pickle",
    "torch.jit.load",
    "torch.hub.load",
    "torch.package.PackageImporter",
    "torch.serialization.add_safe_globals",
    "yaml.load",
    "yaml.load_all",
    "yaml.full_load",
    "yaml.unsafe_load",
    "eval",
    "exec",
    "os.system",
}
_METHODS = {"load_checkpoint", "load_pretrained_checkpoint"}
"""What reads pickles whatever object it is called on."""

_LISTED = {
    ("pipelines/loop/deepspeed_engine.py", "load_checkpoint"): "DeepSpeed's own files, whose seals were checked before",
}


def _calls_that_run_pickles(source: str) -> Iterator[tuple[int, str]]:
    """The line and name of every call that can run what it reads."""
    tree = ast.parse(source)
    names = dict(_imported(tree))
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = _full_name(node.func, names)
        told = {keyword.arg: keyword.value for keyword in node.keywords}
        is_pickle = (
            name in _NEVER
            or (name == "torch.load" and not _is(told.get("weights_only"), True))
            or (name == "numpy.load" and "allow_pickle" in told and not _is(told["allow_pickle"], False))
            or (name == "numpy.load" and len(node.args) > 2)
            or name.rpartition(".")[2] in _METHODS
            or ("trust_remote_code" in told and not _is(told["trust_remote_code"], False))
            or ("shell" in told and not _is(told["shell"], False))
            or (None in told and name in ("torch.load", "numpy.load"))
        )
        if is_pickle:
            yield node.lineno, name.rpartition(".")[2] if name.rpartition(".")[2] in _METHODS else name


def _imported(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """Local names with what they stand for."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield (
                    alias.asname or alias.name.split(".")[0],
                    alias.name if alias.asname else alias.name.split(".")[0],
                )
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                yield (alias.asname or alias.name, f"{node.module}.{alias.name}")


def _full_name(function: ast.expr, names: dict[str, str]) -> str:
    if isinstance(function, ast.Name):
        return names.get(function.id, function.id)
    if isinstance(function, ast.Attribute):
        return f"{_full_name(function.value, names)}.{function.attr}"
    return ""


def _is(value: ast.expr | None, expected: bool) -> bool:
    return isinstance(value, ast.Constant) and value.value is expected


def test_no_package_runs_a_pickle_that_is_not_listed() -> None:
    found = {
        (module.relative_to(_REPOSITORY).as_posix(), name): line
        for package in _PACKAGES
        for module in sorted((_REPOSITORY / package).rglob("*.py"))
        for line, name in _calls_that_run_pickles(module.read_text())
    }
    assert {place: line for place, line in found.items() if place not in _LISTED} == {}
    assert set(_LISTED) == set(found), "the list names a call that is gone"


@pytest.mark.parametrize(
    "code",
    [
        "import pickle\npickle.load(file)",
        "from pickle import loads as read\nread(data)",
        "import pickle as p\np.Unpickler(file).load()",
        "from ray import cloudpickle\ncloudpickle.loads(data)",
        "import torch\ntorch.load(path)",
        "import torch\ntorch.load(path, weights_only=False)",
        "import torch\ntorch.load(path, weights_only=flag)",
        "import torch\ntorch.load(path, **options)",
        "from torch import load\nload(path)",
        "import numpy as np\nnp.load(path, allow_pickle=True)",
        "import numpy as np\nnp.load(path, None, True)",
        "import yaml\nyaml.load(text, Loader=yaml.Loader)",
        "import joblib\njoblib.load(path)",
        "engine.load_checkpoint(folder)",
        "AutoModel.from_pretrained(name, trust_remote_code=True)",
        "import subprocess\nsubprocess.run(line, shell=True)",
        "eval(text)",
    ],
)
def test_a_call_that_runs_a_pickle_is_found(code: str) -> None:
    assert list(_calls_that_run_pickles(code))


@pytest.mark.parametrize(
    "code",
    [
        "import torch\ntorch.load(path, map_location='cpu', weights_only=True)",
        "import numpy as np\nnp.load(path, mmap_mode='r')",
        "import numpy as np\nnp.load(path, allow_pickle=False)",
        "import yaml\nyaml.safe_load(text)",
        "import json\njson.load(file)",
        "import pickle\ntry:\n    pass\nexcept pickle.UnpicklingError:\n    pass",
        "model.eval()",
    ],
)
def test_a_call_that_runs_none_is_left_alone(code: str) -> None:
    assert list(_calls_that_run_pickles(code)) == []


def test_an_engine_is_asked_to_read_in_one_place_which_checks_the_seals_before() -> None:
    asked = [
        f"{module.relative_to(_REPOSITORY)}:{_enclosing(tree, node)}"
        for package in _PACKAGES
        for module in sorted((_REPOSITORY / package).rglob("*.py"))
        for tree in [ast.parse(module.read_text())]
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "load"
        and isinstance(node.func.value, ast.Name)
        and "engine" in node.func.value.id
    ]
    assert asked == ["levo/training/checkpoints.py:load_checked"]


def _enclosing(tree: ast.AST, call: ast.Call) -> str:
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    return next(one.name for one in reversed(functions) if any(node is call for node in ast.walk(one)))
