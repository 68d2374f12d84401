"""`levo train reward`: a musicality reward of one's own, from people's ratings, rankings or pairs."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

if TYPE_CHECKING:
    from levo.song.arrays import Array
    from reward.musicality.embedding_reward import SongEmbedder
    from reward.musicality.embedding_training import RewardReport
    from reward.musicality.preferences import PreferenceData

FILE = "file"


@dataclass(frozen=True, slots=True)
class RewardOptions:
    """Fit a Bradley-Terry reward over an embedding of songs, and report how well it agrees with people.

    PREFERENCES has a JSON object a line: a rated song {"audio": A, AXIS: [ratings]}, a {"ranking": [best ... worst]},
    or {"better": A, "worse": B}; paths are relative to --audio. Songs of one group (`group`, else their folder) are
    never split between training and test. OUT gets the reward, and reward.json with what the table says.
    """

    preferences: Annotated[Path, tyro.conf.Positional]
    """A JSONL file."""
    out: Annotated[Path, tyro.conf.Positional]
    """Folder of the reward."""
    embedding: str = "similarity:out/demo/models/similarity"
    """What songs are heard by: similarity:FOLDER (of a run), clap:FOLDER, muq-mulan:FOLDER, or file (vectors in
    PREFERENCES itself)."""
    device: str = "cpu"
    """Where it hears, such as cuda."""
    audio: Path = Path()
    """Folder of the songs."""
    axis: str | None = None
    """The rating to learn, by its name in PREFERENCES."""
    hidden: int = 64
    """Width of the head; 0 is a linear one."""
    steps: int = 500
    """Optimiser steps."""
    min_agreement: float = 0.6
    """Preferences that fewer raters share are not learnt from."""
    accuracy: float = 0.8
    """The threshold is the smallest gap of scores from which more pairs than these are right."""
    seed: int = 0
    """Of initialisation and order."""


@dataclass(frozen=True, slots=True)
class EmbeddedSongs:
    """Vectors of songs by name, and why others have none."""

    vectors: Mapping[str, "Array"]
    missing: Mapping[str, str] = field(default_factory=dict)


def main(arguments: Sequence[str]) -> int:
    """Read the options, fit, write, show."""
    options = tyro.cli(RewardOptions, args=list(arguments), prog="levo train reward")
    if not options.preferences.is_file():
        raise FileNotFoundError(f"{options.preferences} does not exist; expected a JSONL file of preferences")

    from levo.codec.storage import save_stored
    from levo.song.files import write_json
    from reward.musicality.embedding_reward import RewardFit
    from reward.musicality.embedding_training import fit_reward
    from reward.musicality.preferences import read_preferences
    from reward.named import REWARD_FACTS

    data = read_preferences(options.preferences, options.axis)
    heard, digest = _heard(data, options)
    fit = RewardFit(options.hidden, options.steps, min_agreement=options.min_agreement, seed=options.seed)
    fitted = fit_reward(data, heard.vectors, digest, fit, options.accuracy)
    save_stored(fitted.head.stored(), options.out)
    facts = {"embedding": _whole(options.embedding), "axis": options.axis, "missing": dict(heard.missing)}
    write_json(options.out / REWARD_FACTS, facts | asdict(fitted.report))
    _show(fitted.report, heard, options)
    return 0


def _whole(embedding: str) -> str:
    """The embedding with its whole path, so that the reward can be used from anywhere."""
    name, colon, place = embedding.partition(":")
    return f"{name}:{Path(place).resolve()}" if colon else name


def _heard(data: "PreferenceData", options: RewardOptions) -> tuple[EmbeddedSongs, str]:
    """Every song's vector, and the digest of what made them."""
    from levo.song.digest import digest_json

    if options.embedding == FILE:
        import numpy as np

        if len(data.embeddings) < len(data.groups):
            bare = sorted(set(data.groups) - set(data.embeddings))[0]
            raise ValueError(
                f"{bare!r} has no embedding in the file; expected one for every song, or --embedding clap:..."
            )
        vectors = {song: np.array(vector) for song, vector in data.embeddings.items()}
        sizes = sorted({len(vector) for vector in vectors.values()})
        if len(sizes) > 1:
            raise ValueError(f"embeddings of {sizes} numbers; expected one length")
        return EmbeddedSongs(vectors), digest_json({"file": sizes})
    from reward.named import load_similarity

    embedder = load_similarity(options.embedding, options.device)
    return _listen(sorted(data.groups), embedder, options.audio), embedder.digest


def _listen(songs: Sequence[str], embedder: "SongEmbedder", audio: Path) -> EmbeddedSongs:
    from jobs.progress import RunProgress
    from pipelines.corpus.decode import AudioError, AudioLimits
    from pipelines.corpus.roots.folder import FolderRoot
    from pipelines.corpus.roots.protocol import PathError
    from pipelines.corpus.safe_decode import decode_file

    root, limits = FolderRoot(audio), AudioLimits()
    vectors: dict[str, Array] = {}
    missing: dict[str, str] = {}
    with RunProgress(num_steps=1).step("songs") as report:
        for number, song in enumerate(songs, 1):
            try:
                vectors[song] = embedder.embed_song(decode_file(root, song, limits)).numpy()
            except (PathError, AudioError, ValueError) as error:
                missing[song] = str(error)
            report(number, len(songs))
    if not vectors:
        first, reason = next(iter(missing.items()))
        raise ValueError(f"none of {len(missing)} songs below {audio} can be heard; the first, {first!r}: {reason}")
    return EmbeddedSongs(vectors, missing)


def _show(report: "RewardReport", heard: EmbeddedSongs, options: RewardOptions) -> None:
    from rich.console import Console
    from rich.table import Table

    from reward.named import REWARD_FACTS

    table = Table(title=f"reward over {options.embedding}, {len(heard.vectors)} songs", min_width=60)
    table.add_column("")
    table.add_column("", justify="right")
    mean = report.agreement
    table.add_row("pairs: train, validation, test", ", ".join(str(count) for count in report.num_pairs.values()))
    table.add_row("agreement with people, training pairs", f"{report.train_agreement:.3f}")
    table.add_row("agreement, unseen groups", f"{mean.mean:.3f} [{mean.low:.3f}, {mean.high:.3f}]")
    if report.one_rater is not None:
        table.add_row("one rater against the others there", f"{report.one_rater:.3f}")
    if report.threshold is None or report.held_out is None:
        table.add_row("threshold", f"no gap gives more than {options.accuracy:.0%}")
    else:
        table.add_row(f"gap chosen for more than {options.accuracy:.0%}", f"{report.threshold.gap:.2f}")
        table.add_row("right above it, unseen groups", f"{report.held_out.accuracy:.3f}")
        table.add_row("pairs above it", f"{report.held_out.kept_share:.2f}")
    console = Console(highlight=False)
    console.print(table)
    if heard.missing:
        console.print(f"{len(heard.missing)} songs could not be heard; {options.out / REWARD_FACTS} says why")
