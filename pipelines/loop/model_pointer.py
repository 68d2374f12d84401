"""The file that names the model which replicas run."""

from pathlib import Path

from levo.song.files import write_bytes_atomically


def write_pointer(pointer: Path, model_folder: Path) -> None:
    """Name the running model; readers see the old name or the new one."""
    write_bytes_atomically(pointer, str(model_folder.resolve()).encode())


def read_pointer(pointer: Path) -> Path:
    """The model folder that a pointer file names."""
    return Path(pointer.read_text().strip())
