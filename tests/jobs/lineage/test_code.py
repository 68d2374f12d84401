"""The commit of a checkout: found where the checkout tracks the file, and only there."""

import importlib.metadata
import subprocess
from pathlib import Path

import pytest

from jobs.lineage.code import code_tags, commit_tags, image_commit_tags


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository with one commit that tracks `kept.py`."""
    (tmp_path / "kept.py").write_text("one = 1\n")
    (tmp_path / "ignored.py").write_text("two = 2\n")
    author = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    for command in (["init", "-q"], ["add", "kept.py"], [*author, "commit", "-q", "-m", "first"]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True, capture_output=True)
    return tmp_path


def _head(folder: Path) -> str:
    printed = subprocess.run(["git", "rev-parse", "HEAD"], cwd=folder, check=True, capture_output=True, text=True)
    return printed.stdout.strip()


def test_a_tracked_file_names_its_commit_and_says_whether_files_changed(checkout: Path) -> None:
    commit = _head(checkout)
    assert commit_tags(checkout / "kept.py") == {"git_commit": commit, "git_modified": "false"}
    (checkout / "kept.py").write_text("one = 11\n")
    assert commit_tags(checkout / "kept.py") == {"git_commit": commit, "git_modified": "true"}


def test_a_package_that_lies_in_another_projects_checkout_names_no_commit(checkout: Path) -> None:
    assert commit_tags(checkout / "ignored.py") == {}


def test_without_git_there_is_no_commit(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(checkout))
    assert commit_tags(checkout / "kept.py") == {}


def test_an_image_names_the_commit_that_it_was_built_of(monkeypatch: pytest.MonkeyPatch) -> None:
    assert image_commit_tags() == {}
    monkeypatch.setenv("LEVO_COMMIT", "abc")
    monkeypatch.setenv("LEVO_COMMIT_MODIFIED", "false")
    assert image_commit_tags() == {"git_commit": "abc", "git_modified": "false"}


def test_versions_are_those_that_are_installed() -> None:
    tags = code_tags()
    for name in ("levo", "torch", "ray", "deepspeed", "mlflow"):
        assert tags[f"version.{name}"] == importlib.metadata.version(name)
