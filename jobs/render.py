"""`levo render`: write the rendered corpus as audio files with metadata, as if somebody had recorded it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

_SHORTEST_LONG_S, _LONGEST_LONG_S = 30.0, 300.0


@dataclass(frozen=True, slots=True)
class RenderOptions:
    """Write a corpus of rendered songs: FLAC mixtures and stems, metadata.jsonl, and the truth apart in truth.parquet.

    Run again, it goes on where it was; the same options give the same bytes.
    """

    out: Path
    """Folder to write into; empty, or holding the same corpus."""
    num_studio: int = 1024
    """Clean songs of about 6 s."""
    num_wild: int = 512
    """Songs of about 6 s with controlled noise: wrong lyrics, wrong tags, glitches."""
    num_long: int = 64
    """Long songs with four or more sections; every second one is wild."""
    long_s: float = 30.0
    """The longest that a long song may be; they take four fifths of it or more."""
    seed: int = 0
    """Another seed draws other songs."""
    workers: Annotated[int, tyro.conf.arg(aliases=["-j"])] = 2
    """Processes that render."""


def main(arguments: Sequence[str]) -> int:
    """Read the options and write the corpus; errors name what is wrong with them."""
    options = tyro.cli(RenderOptions, args=list(arguments), prog="levo render")
    if options.workers < 1:
        raise ValueError(f"--workers is {options.workers}; expected 1 or more")
    if not _SHORTEST_LONG_S <= options.long_s <= _LONGEST_LONG_S:
        raise ValueError(f"--long-s is {options.long_s:g}; expected {_SHORTEST_LONG_S:g} to {_LONGEST_LONG_S:g} s")

    from jobs.progress import RunProgress
    from levo.song.tokens import FRAME_RATE_HZ
    from pipelines.rendered.catalogue import RenderedCorpusConfig
    from pipelines.rendered.corpus import write_corpus
    from pipelines.rendered.world import WorldConfig

    world = WorldConfig(max_long_frames=round(options.long_s * FRAME_RATE_HZ))
    config = RenderedCorpusConfig(options.num_studio, options.num_wild, options.num_long, options.seed, world=world)
    with RunProgress(num_steps=1).step("songs") as progress:
        written = write_corpus(config, options.out, progress, num_workers=options.workers)
    print(f"{written.num_songs} songs in {written.folder}, {written.num_rendered} of them rendered now")
    return 0
