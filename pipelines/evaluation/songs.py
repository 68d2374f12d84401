"""The songs to be judged: their sound, and what was asked for, as `levo generate` tells it in its results."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.flow.json_lines import Line, read_lines


@dataclass(frozen=True, slots=True)
class SongToJudge:
    """A song's files and what it was asked for; what is None was not asked, or is not there."""

    idx: str
    audio: Path | None
    vocal: Path | None = None
    lyrics: str | None = None
    description: str | None = None
    prompt: Path | None = None
    language: str | None = None


def read_songs(file: Path) -> list[SongToJudge]:
    """Songs of a JSON object a line: `results.jsonl` of `levo generate`, or one with the same fields.

    Fields: `idx`, `wav_path`, and if given `stem_paths` (the vocal first), `gt_lyric`, `descriptions`,
    `prompt_audio_path` and `language` (a code such as `en`). Paths are relative to the file's folder. Raises
    `LineError` with every problem found, or the first ten of them.
    """

    def song(line: Line) -> SongToJudge | None:
        idx = line.file_name("idx")
        lyrics = line.lyrics("gt_lyric") if line.values.get("gt_lyric") is not None else None
        description, language = line.description("descriptions"), line.text_of("language")
        audio, prompt = (_path(file.parent, line.text_of(name)) for name in ("wav_path", "prompt_audio_path"))
        stems: Any = line.values.get("stem_paths") or []
        if not isinstance(stems, list) or not all(isinstance(stem, str) for stem in stems):
            line.note("stem_paths", f"stem_paths is {stems!r}; expected a list of paths, the vocal first")
            return None
        vocal = _path(file.parent, stems[0]) if stems else None
        return None if idx is None else SongToJudge(idx, audio, vocal, lyrics, description, prompt, language)

    return read_lines(file, song, "songs")


def _path(folder: Path, name: str | None) -> Path | None:
    return None if name is None else folder / name
