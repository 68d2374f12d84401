"""Seals of a checkpoint: each worker lists the SHA-256 of the files that it wrote, and nothing is read before all fit.

DeepSpeed reads its checkpoints as pickles, which run what they hold: a file that was changed or added since would be
somebody's program. Digests show accidents and whoever cannot write the seals too; with a key in LEVO_CHECKPOINT_KEY,
the same for all workers, the seals are signed (HMAC-SHA256), and a checkpoint without that signature is refused.
"""

import hmac
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from levo.song.digest import canonical_json, digest_file

KEY_VARIABLE = "LEVO_CHECKPOINT_KEY"
_SEAL = "seal-{rank:05d}.json"
_SEALS = "seal-*.json"


class CheckpointRefusedError(ValueError):
    """A checkpoint that is not what its workers wrote; none of it was read."""


@dataclass(frozen=True, slots=True)
class _Seal:
    """What one worker of several wrote: its files' digests by their names in the folder."""

    rank: int
    num_workers: int
    files: dict[str, str]


def seal(folder: Path, rank: int = 0, num_workers: int = 1) -> None:
    """Write this worker's seal over all files of its folder, which is final then."""
    own = _SEAL.format(rank=rank)
    files = {name: digest_file(folder / name) for name in _names(folder) if name != own}
    content = {"rank": rank, "num_workers": num_workers, "files": files}
    key = _key()
    signed = content if key is None else content | {"signature": _signature(content, key)}
    (folder / own).write_text(json.dumps(signed, indent=1))


def check_seals(folder: Path) -> None:
    """Raise `CheckpointRefusedError` unless the folder holds what its workers sealed, all of it and nothing else."""
    seals = [_read(path) for path in sorted(folder.glob(_SEALS))]
    if not seals or {one.rank for one in seals} != set(range(seals[0].num_workers)):
        raise _refused(folder, f"has seals of workers {[one.rank for one in seals]}; expected one of each that saved")
    sealed = {name: digest for one in seals for name, digest in one.files.items()}
    found = set(_names(folder)) - {_SEAL.format(rank=one.rank) for one in seals}
    if added := sorted(found - set(sealed)):
        raise _refused(folder, f"holds {added[0]}, which no worker wrote")
    if lost := sorted(set(sealed) - found):
        raise _refused(folder, f"lacks {lost[0]}")
    for name, digest in sealed.items():
        if digest_file(folder / name) != digest:
            raise _refused(folder, f"holds another {name} than was written")


def _names(folder: Path) -> list[str]:
    """All files by their names in the folder; a link could be turned to another file after the check."""
    paths = sorted(folder.rglob("*"))
    if links := [path for path in paths if path.is_symlink()]:
        raise _refused(folder, f"holds the link {links[0].name}")
    return [path.relative_to(folder).as_posix() for path in paths if not path.is_dir()]


def _read(path: Path) -> _Seal:
    try:
        told: dict[str, Any] = json.loads(path.read_text())
        signature = told.pop("signature", None)
        read = _Seal(int(told["rank"]), int(told["num_workers"]), dict(told["files"]))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _refused(path.parent, f"has the seal {path.name}, which cannot be read ({error})") from error
    _check_signature(path, told, signature)
    return read


def _check_signature(path: Path, content: dict[str, Any], signature: object) -> None:
    key = _key()
    if key is None and signature is not None:
        raise _refused(path.parent, f"is signed; expected its key in {KEY_VARIABLE}")
    if key is not None and not hmac.compare_digest(str(signature), _signature(content, key)):
        raise _refused(path.parent, f"has {path.name} without the signature of the key in {KEY_VARIABLE}")


def _signature(content: dict[str, Any], key: bytes) -> str:
    return hmac.new(key, canonical_json(content).encode(), "sha256").hexdigest()


def _key() -> bytes | None:
    return os.environ[KEY_VARIABLE].encode() if os.environ.get(KEY_VARIABLE) else None


def _refused(folder: Path, what: str) -> CheckpointRefusedError:
    return CheckpointRefusedError(
        f"checkpoint {folder} {what}; nothing of it was read: remove it, and the phase goes on from an older one or "
        "begins anew"
    )
