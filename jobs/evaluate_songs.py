"""`levo evaluate songs`: the papers' table of objective metrics for a folder of generated songs."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

if TYPE_CHECKING:
    from pipelines.evaluation.judges import SongJudges
    from pipelines.evaluation.run import MetricSummary
    from reward.frechet import FrechetDistance

SUMMARY_FILE = "evaluation.json"


@dataclass(frozen=True, slots=True)
class EvaluateSongsOptions:
    """Judge songs: FAD, similarity to text and prompt (MuQ-T, MuQ-A), phoneme error, aesthetics; means with intervals.

    Only what a judge is named for is told. Interrupted, it goes on from the songs that are judged.
    """

    songs: Annotated[Path, tyro.conf.Positional]
    """results.jsonl of `levo generate`, or JSON lines with `idx`, `wav_path` and what was asked for."""
    out: Path
    """Folder of the verdicts and of evaluation.json."""
    similarity: str | None = None
    """muq-mulan:FOLDER, clap:FOLDER, or similarity:FOLDER of a run."""
    aesthetics: str | None = None
    """audiobox:PATH or song-eval:PATH."""
    recogniser: str | None = None
    """whisper:FILE; phonemes are those of the lyrics' language."""
    separator: str | None = None
    """htdemucs:FILE: words are heard in the vocal. Not needed for songs with a vocal file."""
    reference: Path | None = None
    """Folder of songs: FAD is the distance to them, in the embedding of --similarity."""
    device: str = "cpu"
    """Where the judges run, such as cuda."""


def main(arguments: Sequence[str]) -> int:
    """Read the options, judge, print the table."""
    options = tyro.cli(EvaluateSongsOptions, args=list(arguments), prog="levo evaluate songs")
    if options.reference is not None and options.similarity is None:
        raise ValueError("--reference is given without --similarity; expected the embedding to measure FAD in")
    if options.reference is not None and not options.reference.is_dir():
        raise NotADirectoryError(f"--reference {options.reference} is no folder; expected one that holds songs")
    if not any((options.similarity, options.aesthetics, options.recogniser)):
        raise ValueError("no judge is named; expected --similarity, --aesthetics or --recogniser")

    from jobs.progress import RunProgress
    from levo.song.files import write_json
    from pipelines.evaluation.run import distance_to, judge_songs, reference_vectors, summaries
    from pipelines.evaluation.songs import read_songs

    songs, judges = read_songs(options.songs), _judges(options)
    progress = RunProgress(num_steps=1 if options.reference is None else 2)
    with progress.step("songs") as report:
        verdicts = judge_songs(songs, judges, options.out, report)
    distance = None
    if options.reference is not None:
        with progress.step("reference") as report:
            distance = distance_to(reference_vectors(options.reference, judges, options.out, report), verdicts, judges)
    found = summaries(verdicts, judges)
    told = {name: asdict(summary) for name, summary in found.items()}
    fad = None if distance is None else asdict(distance)
    write_json(options.out / SUMMARY_FILE, {"num_songs": len(songs), "metrics": told, "fad": fad})
    _show(found, distance, judges, len(songs))
    return 0


def _judges(options: EvaluateSongsOptions) -> "SongJudges":
    from pipelines.corpus.backends import load_recogniser, load_separator
    from pipelines.evaluation.judges import SongJudges
    from reward.named import load_aesthetics, load_similarity

    device = options.device
    return SongJudges(
        None if options.similarity is None else load_similarity(options.similarity, device),
        None if options.aesthetics is None else load_aesthetics(options.aesthetics, device),
        None if options.recogniser is None else load_recogniser(options.recogniser, device),
        None if options.separator is None else load_separator(options.separator, device),
    )


def _show(
    found: "dict[str, MetricSummary]", distance: "FrechetDistance | None", judges: "SongJudges", num_songs: int
) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"{num_songs} songs", min_width=60)
    for heading in ("metric", "better", "mean [95 %]", "songs"):
        table.add_column(heading, justify="left" if heading == "metric" else "right")
    if distance is not None:
        table.add_row("FAD", "lower", f"{distance.value:.3f}", str(distance.num_songs))
    for name, summary in found.items():
        interval = summary.interval
        shown = f"{interval.mean:.3f} [{interval.low:.3f}, {interval.high:.3f}]" if interval else "-"
        table.add_row(name, judges.metrics[name].better, shown, str(summary.num_songs))
    console = Console(highlight=False)
    console.print(table)
    for name, summary in found.items():
        for reason, count in summary.missing.items():
            console.print(f"{name}: {count} without it ({reason})")
    if distance is not None and not distance.is_full_rank:
        console.print("FAD: fewer songs than dimensions; it is too large, and compares with as many songs only")
