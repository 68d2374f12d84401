"""Who may import whom, who owns the package names, and that what is imported is declared."""

import ast
import importlib.metadata
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

from packaging.requirements import Requirement

_REPOSITORY = Path(__file__).resolve().parents[2]
_PACKAGES = ("levo", "annotation", "reward", "pipelines", "jobs")


def _modules() -> list[Path]:
    return sorted(file for folder in (*_PACKAGES, "tests") for file in (_REPOSITORY / folder).rglob("*.py"))


def _lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("lint-imports")
    return subprocess.run([program, "--no-cache", "--no-logo"], cwd=folder, capture_output=True, text=True, check=False)


def _imported_names(module: Path) -> set[str]:
    """The top-level names that a module imports, wherever in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module.split(".")[0])
    return names


def _declared_distributions() -> set[str]:
    project = tomllib.loads((_REPOSITORY / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"].values()
    lines = [*project["dependencies"], *(line for extra in extras for line in extra)]
    return {_normal(Requirement(line).name) for line in lines}


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_imports_run_downwards_only() -> None:
    result = _lint_imports(_REPOSITORY)
    assert result.returncode == 0, result.stdout


def test_a_song_record_that_imports_ray_is_caught(tmp_path: Path) -> None:
    for package in _PACKAGES:
        shutil.copytree(_REPOSITORY / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(_REPOSITORY / "pyproject.toml", tmp_path)
    (tmp_path / "levo" / "song" / "cluster.py").write_text('"""A trespasser."""\n\nimport ray\n\nprint(ray)\n')
    result = _lint_imports(tmp_path)
    assert result.returncode == 1
    assert "levo.song.cluster -> ray" in result.stdout


def test_the_five_package_names_are_owned_by_this_project_alone() -> None:
    owners = importlib.metadata.packages_distributions()
    # An editable install lists no packages; what is listed must be ours.
    for name in _PACKAGES:
        assert set(owners.get(name, ["levo"])) == {"levo"}
        assert Path(str(__import__(name).__file__)).parent == _REPOSITORY / name


def test_every_imported_distribution_is_declared() -> None:
    declared = _declared_distributions()
    owners = importlib.metadata.packages_distributions()
    undeclared: dict[str, set[str]] = {}
    for module in _modules():
        for name in _imported_names(module) - set(sys.stdlib_module_names) - {*_PACKAGES, "tests"}:
            if not {_normal(owner) for owner in owners.get(name, [name])} & declared:
                undeclared.setdefault(name, set()).add(str(module.relative_to(_REPOSITORY)))
    assert undeclared == {}
