"""`levo evaluate labels`: a corpus's own labels against reference labels."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

if TYPE_CHECKING:
    from rich.table import Table

    from pipelines.corpus.label_agreement import LabelAgreement, SongAgreement

_NAMES = {
    "word_error_rate": "words wrong",
    "phoneme_error_rate": "phonemes wrong",
    "line_start_error_s": "line starts off by (median, s)",
    "lines_heard": "lines whose first word was heard",
    "boundary_f_0.5_s": "boundaries, F at 0.5 s",
    "boundary_f_3_s": "boundaries, F at 3 s",
    "section_label_error": "time under a wrong section",
    "vocal_sdr_db": "vocal, SI-SDR (median, dB)",
    "accompaniment_sdr_db": "accompaniment, SI-SDR (median, dB)",
    "vocal_bss_sdr_db": "vocal, BSS Eval SDR (median, dB)",
    "accompaniment_bss_sdr_db": "accompaniment, BSS Eval SDR (median, dB)",
}


@dataclass(frozen=True, slots=True)
class EvaluateLabelsOptions:
    """Hold the labels that the corpus flow heard to reference labels, pooled and song by song.

    Words and phonemes are compared where a recogniser was asked, sections where the labeller was, stems where the flow
    separated them; what comes from the recordings' own metadata is no label of the flow's.
    """

    corpus: Path
    """Folder of a corpus (`levo prepare`)."""
    truth: Path
    """JSON lines with song_id and words, lines, phonemes, sections or stems; or a rendered corpus's truth.parquet."""
    songs: bool = False
    """A table of all songs too."""
    json: bool = False
    """Print JSON in place of tables."""


def main(arguments: Sequence[str]) -> int:
    """Read the options, compare, print."""
    options = tyro.cli(EvaluateLabelsOptions, args=list(arguments), prog="levo evaluate labels")

    from rich.console import Console

    from pipelines.corpus.label_agreement import label_agreement
    from pipelines.corpus.label_truth import read_reference_labels
    from pipelines.corpus.snapshot import open_corpus

    found = label_agreement(open_corpus(options.corpus), read_reference_labels(options.truth))
    if options.json:
        print(json.dumps({"pooled": found.pooled, "songs": [asdict(song) for song in found.songs]}))
        return 0
    console = Console(highlight=False)
    console.print(_pooled_table(found))
    if options.songs:
        console.print(_song_table(found.songs))
    return 0


def _pooled_table(found: "LabelAgreement") -> "Table":
    from rich.table import Table

    table = Table(title=f"{len(found.songs)} songs", min_width=48)
    table.add_column("labels")
    table.add_column("", justify="right")
    for name, value in found.pooled.items():
        table.add_row(_NAMES[name], _shown(value))
    return table


def _song_table(songs: "Sequence[SongAgreement]") -> "Table":
    from statistics import median

    from rich.table import Table

    table = Table()
    for heading in ("song", "words", "phonemes", "line starts (s)", "F 0.5 s", "sections", "vocal (dB)"):
        table.add_column(heading, overflow="fold", justify="left" if heading == "song" else "right")
    for song in songs:
        table.add_row(
            song.song_id,
            _shown(None if song.word_errors is None else song.word_errors.rate),
            _shown(None if song.phoneme_errors is None else song.phoneme_errors.rate),
            _shown(median(song.line_errors_s) if song.line_errors_s else None),
            _shown(None if song.boundary_f is None else song.boundary_f[0]),
            _shown(song.label_error),
            _shown(song.vocal_sdr_db),
        )
    return table


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
