"""The searches of `levo corpus`: doubles, leaks into evaluation, and all that a song touched."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from jobs.corpus import DuplicatesOptions, LeaksOptions, TakedownOptions
from pipelines.corpus.likeness import SameSound, same_lyrics, same_sounds
from pipelines.corpus.snapshot import open_corpus
from pipelines.corpus.takedown import Touched, touched_in_corpus

if TYPE_CHECKING:
    from pipelines.corpus.likeness import Fingerprints

_LEAKS = 1


def show_duplicates(options: DuplicatesOptions) -> None:
    """A row a pair."""
    found = list(same_sounds(open_corpus(options.corpus).fingerprints()))
    Console(highlight=False).print(_sound_table(f"{len(found)} pairs of songs are the same sound", found))


def show_leaks(options: LeaksOptions) -> int:
    """Tables of what was found; 1 where anything was."""
    if options.audio is None and options.lyrics is None:
        raise ValueError("nothing to look for; give --audio, --lyrics or both")
    console, corpus = Console(highlight=False), open_corpus(options.corpus)
    num_found = 0
    if options.audio is not None:
        sounds = list(same_sounds(corpus.fingerprints(), _fingerprints(options.audio)))
        console.print(_sound_table(f"{len(sounds)} of the sounds are in the corpus", sounds))
        num_found += len(sounds)
    if options.lyrics is not None:
        texts = list(same_lyrics({song.song_id: song.lyrics for song in corpus.songs}, _texts(options.lyrics)))
        table = Table(title=f"{len(texts)} of the lyrics are in the corpus", min_width=48)
        for heading in ("song", "text", "its lines that are sung there"):
            table.add_column(heading, overflow="fold")
        for one in texts:
            table.add_row(one.song, one.text, f"{one.shared_lines:.0%}")
        console.print(table)
        num_found += len(texts)
    return _LEAKS if num_found else 0


def show_takedown(options: TakedownOptions) -> None:
    """A row a thing."""
    from pipelines.loop.takedown import touched_in_run

    found = touched_in_corpus(options.corpus, options.song)
    for run in options.run:
        of_run = list(touched_in_run(run, options.song))
        found += [*of_run, *_registered(run, of_run)]
    if options.json:
        print(json.dumps([asdict(one) for one in found], indent=1))
        return
    table = Table(title=f"{options.song} touched {len(found)} things", min_width=48)
    for heading in ("what", "where", "others rest on it too"):
        table.add_column(heading, overflow="fold")
    for one in found:
        table.add_row(one.kind, one.place, "yes" if one.is_shared else "")
    Console(highlight=False).print(table)


def _registered(run: Path, touched: Sequence[Touched]) -> list[Touched]:
    """The names under which the registry knows the models of a run that a song touched."""
    from jobs.lineage.models import registered_name
    from pipelines.flow.run_folder import read_config

    recipe = read_config(run)["recipe"]
    models = [Path(one.place).name for one in touched if one.kind == "model"]
    return [Touched("registered model", registered_name(recipe, name), is_shared=True) for name in models]


def _sound_table(title: str, found: list[SameSound]) -> Table:
    table = Table(title=title, min_width=48)
    for heading in ("song", "at", "song", "at", "for", "bits that differ"):
        table.add_column(heading, overflow="fold")
    for one in found:
        starts = (f"{one.first_start_s:.1f} s", f"{one.second_start_s:.1f} s")
        row = (one.first, starts[0], one.second, starts[1], f"{one.overlap_s:.1f} s", f"{one.bit_error_rate:.2f}")
        table.add_row(*row)
    return table


def _fingerprints(folder: Path) -> "Fingerprints":
    from annotation.spectrum.fingerprint import fingerprint
    from pipelines.corpus.archives import is_audio
    from pipelines.corpus.decode import AudioLimits
    from pipelines.corpus.roots.folder import FolderRoot
    from pipelines.corpus.safe_decode import decode_file

    root = FolderRoot(folder)
    found = {}
    for name in root.files():
        if is_audio(name):
            found[name] = fingerprint(decode_file(root, name, AudioLimits(min_duration_s=0.1)))
    if not found:
        raise ValueError(f"--audio {folder} holds no sound")
    return found


def _texts(file: Path) -> Mapping[str, str]:
    texts = {}
    for number, line in enumerate(file.read_text().splitlines(), 1):
        row = json.loads(line)
        name, lyrics = row.get("idx", row.get("song_id")), row.get("gt_lyric", row.get("lyrics"))
        if not isinstance(name, str) or not isinstance(lyrics, str):
            raise ValueError(f"{file}, line {number}: expected `idx` and `gt_lyric`, or `song_id` and `lyrics`")
        texts[name] = lyrics
    return texts
