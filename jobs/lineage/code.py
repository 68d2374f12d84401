"""Which code a step ran: versions of what it depends on, and the commit where it runs from a checkout."""

import subprocess
from functools import cache
from pathlib import Path

from jobs.summary import installed_versions
from jobs.tracking.protocol import GIT_COMMIT

_TIMEOUT_S = 10.0


@cache
def code_tags() -> dict[str, str]:
    """`version.NAME` for every package, and in a checkout the commit and whether files differ from it."""
    versions = {f"version.{name}": version for name, version in installed_versions().items()}
    return versions | commit_tags(Path(__file__).resolve())


def commit_tags(source: Path) -> dict[str, str]:
    """The commit of the checkout that tracks `source`; empty where none does, or where there is no git."""
    commit = _git(source.parent, "rev-parse", "HEAD")
    if commit is None or _git(source.parent, "ls-files", "--error-unmatch", source.name) is None:
        return {}
    changes = _git(source.parent, "status", "--porcelain", "--untracked-files=no")
    return {GIT_COMMIT: commit, "git_modified": "unknown" if changes is None else str(bool(changes)).lower()}


def _git(folder: Path, *arguments: str) -> str | None:
    """What git prints, or None where it fails."""
    command = ["git", "-C", str(folder), *arguments]
    try:
        # Fixed arguments and a path of our own.
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_TIMEOUT_S)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
