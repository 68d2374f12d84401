"""Which code a step ran: versions of what it depends on, and the commit of its checkout or of its image's."""

import os
import subprocess
from functools import cache
from pathlib import Path

from jobs.summary import installed_versions
from jobs.tracking.protocol import GIT_COMMIT
from levo.song.digest import digest_file

MODIFIED_TAG = "git_modified"
COMMIT_TAGS = (GIT_COMMIT, MODIFIED_TAG)
IMAGE_VARIABLE, CONSTRAINTS_VARIABLE = "LEVO_IMAGE", "LEVO_CONSTRAINTS_SHA256"
COMMIT_VARIABLE, MODIFIED_VARIABLE = "LEVO_COMMIT", "LEVO_COMMIT_MODIFIED"
"""What an image says of the checkout that it was built of, since it holds none."""
SOURCE_VARIABLE, SUBMISSION_VARIABLE = "LEVO_CODE_SOURCE", "LEVO_SUBMISSION_ID"
_TIMEOUT_S = 10.0


@cache
def code_tags() -> dict[str, str]:
    """`version.NAME` for every package; the commit, and whether files differ from it; what a job says.

    The commit is the checkout's that the code lies in, else the one that its image was built of.
    """
    versions = {f"version.{name}": version for name, version in installed_versions().items()}
    return versions | (commit_tags(Path(__file__).resolve()) or image_commit_tags()) | submission_tags()


def image_commit_tags() -> dict[str, str]:
    """The commit that the image names as its own; empty where it names none."""
    commit = os.environ.get(COMMIT_VARIABLE)
    return {GIT_COMMIT: commit, MODIFIED_TAG: os.environ.get(MODIFIED_VARIABLE) or "unknown"} if commit else {}


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
    return {GIT_COMMIT: commit, MODIFIED_TAG: "unknown" if changes is None else str(bool(changes)).lower()}


def _git(folder: Path, *arguments: str) -> str | None:
    """What git prints, or None where it fails."""
    command = ["git", "-C", str(folder), *arguments]
    try:
        # Fixed arguments and a path of our own.
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_TIMEOUT_S)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
