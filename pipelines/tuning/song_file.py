"""Songs and pairs to tune a model on: JSON lines in the release's fields, and `.npy` files of codes beside them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jaxtyping import Int32

from levo.alignment.pairs import PairExample
from levo.model.config import LeLMConfig
from levo.release.codes import read_codes
from levo.release.layout import TextRules
from levo.release.texts import released_description
from levo.song.arrays import Array
from levo.song.tokens import TokenGrid
from levo.training.examples import TrainingExample
from pipelines.flow.json_lines import Line, LineError, read_lines

_PROMPT = "prompt_codes_path"
Codes = Int32[Array, "stream frame"]


@dataclass(frozen=True, slots=True)
class TuningLine:
    """One line: its texts, the paths of its codes by field, and of its audio prompt's; relative to the file."""

    idx: str
    lyrics: str
    description: str | None
    codes: tuple[str, ...]
    prompt: str | None


@dataclass(frozen=True, slots=True)
class TuningText:
    """How a model reads texts, and how long a song and a prompt it takes."""

    config: LeLMConfig
    rules: TextRules | None
    """The release's rules that the model was trained with; None for a model of ours."""

    def description(self, text: str | None) -> str | None:
        """A description as the model was trained to read it."""
        return text if self.rules is None else released_description(text, self.rules)


def read_songs(path: Path, text: TuningText) -> list[TrainingExample]:
    """Songs to fine-tune on: `idx`, `gt_lyric`, `codes_path`, and if given `descriptions` and `prompt_codes_path`.

    Raises `LineError` with the place of whatever is wrong, of codes and their lengths too.
    """
    lines = _read(path, ("codes_path",), "songs")
    return [
        TrainingExample(line.idx, songs[0].codes, line.lyrics, text.description(line.description), prompt)
        for line, songs, prompt in _with_codes(path, lines, text)
    ]


def read_pairs(path: Path, text: TuningText) -> list[PairExample]:
    """Pairs to align on: as songs, with `chosen_codes_path` and `rejected_codes_path` in place of `codes_path`."""
    lines = _read(path, ("chosen_codes_path", "rejected_codes_path"), "pairs")
    return [
        PairExample(
            pair_id=line.idx,
            lyrics=line.lyrics,
            description=text.description(line.description),
            audio_prompt=prompt,
            chosen=songs[0].codes,
            rejected=songs[1].codes,
        )
        for line, songs, prompt in _with_codes(path, lines, text)
    ]


def longest_song(examples: Sequence[TrainingExample] | Sequence[PairExample]) -> int:
    """Frames of the longest song among songs or pairs."""
    songs = [
        song
        for one in examples
        for song in ((one.chosen, one.rejected) if isinstance(one, PairExample) else (one.codes,))
    ]
    return max(int(song.shape[1]) for song in songs)


def _read(path: Path, codes: tuple[str, ...], what: str) -> list[TuningLine]:
    def record(line: Line) -> TuningLine | None:
        idx, lyrics = line.file_name("idx"), line.lyrics("gt_lyric")
        description, prompt = line.description("descriptions"), line.text_of(_PROMPT)
        found = tuple(line.text_of(name, required=True) for name in codes)
        paths = tuple(one for one in found if one is not None)
        if idx is None or lyrics is None or len(paths) < len(codes):
            return None
        return TuningLine(idx, lyrics, description, paths, prompt)

    return read_lines(path, record, what)


def _with_codes(
    path: Path, lines: Sequence[TuningLine], text: TuningText
) -> list[tuple[TuningLine, list[TokenGrid], Codes | None]]:
    """Every line with its songs' codes and its prompt's; all problems are told at once."""
    problems: list[str] = []
    found = []
    for line in lines:
        try:
            songs = [_song(path.parent / name, text.config) for name in line.codes]
            prompt = None if line.prompt is None else _prompt(path.parent / line.prompt, text.config)
        except (ValueError, OSError) as error:
            problems.append(f"{path}: {line.idx}: {error}")
        else:
            found.append((line, songs, prompt))
    if problems:
        more = f"; and {len(problems) - 10} more" if len(problems) > 10 else ""
        raise LineError("; ".join(problems[:10]) + more)
    return found


def _song(path: Path, config: LeLMConfig) -> TokenGrid:
    codes = read_codes(path, config.code_size)
    if codes.num_frames > config.max_frames:
        raise ValueError(f"{path} has {codes.num_frames} frames; the model takes songs of up to {config.max_frames}")
    return codes


def _prompt(path: Path, config: LeLMConfig) -> Codes:
    return read_codes(path, config.code_size).window(0, config.max_prompt_frames).codes
