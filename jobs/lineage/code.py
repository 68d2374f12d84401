"""Which code a step ran: versions of what it depends on, and the commit where it runs from a checkout."""

import os
import subprocess
from functools import cache
from pathlib import Path

from jobs.summary import installed_versions
from jobs.tracking.protocol import GIT_COMMIT
from levo.song.digest import digest_file

COMMIT_TAGS = (GIT_COMMIT, "git_modified")
IMAGE_VARIABLE, CONSTRAINTS_VARIABLE = "LEVO_IMAGE", "LEVO_CONSTRAINTS_SHA256"
SOURCE_VARIABLE, SUBMISSION_VARIABLE = "LEVO_CODE_SOURCE", "LEVO_SUBMISSION_ID"
_TIMEOUT_S = 10.0


@cache
def code_tags() -> dict[str, str]:
    """`version.NAME` for every package; in a checkout the commit and whether files differ from it; what a job says."""
    versions = {f"version.{name}": version for name, version in installed_versions().items()}
    return versions | commit_tags(Path(__file__).resolve()) | submission_tags()


def submission_tags() -> dict[str, str]:
    """As which job the code runs, and whether from an image or an uploaded folder; nothing outside a job."""
    names = {SUBMISSION_VARIABLE: "submission_id", SOURCE_VARIABLE: "code_source", IMAGE_VARIABLE: "image"}
    told = {tag: os.environ[name] for name, tag in names.items() if os.environ.get(name)}
    constraints = constraints_digest()
    return told if constraints is None else told | {"constraints_sha256": constraints}


def constraints_digest() -> str | None:
    """SHA-256 (hex) of the constraints that the environment was made of: the image's own, or the checkout's file."""
    file = Path(__file__).resolve().parents[2] / "constraints.txt"
    return os.environ.get(CONSTRAINTS_VARIABLE) or (digest_file(file) if file.is_file() else None)


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
