"""Folders and files that appear whole or not at all."""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def staged_folder(folder: Path) -> Iterator[Path]:
    """A sibling folder to write into, renamed to `folder` at the end and removed if the block fails.

    Raises FileExistsError where `folder` is there already.
    """
    if folder.exists():
        raise FileExistsError(f"{folder} exists; give a folder of its own")
    folder.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".partial", dir=folder.parent))
    staging.chmod(0o755)
    try:
        yield staging
        staging.rename(folder)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Write a JSON file in one rename, so that a reader sees the old text or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    staging = path.with_name(f".{path.name}.{os.getpid()}.partial")
    staging.write_text(json.dumps(value, indent=1, sort_keys=True))
    staging.replace(path)
