"""What the champion sings beside a training: the gate's songs, the search's where there is a choice, or nothing."""

import threading
import time
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from levo.song.scores import Axis
from pipelines.refresh import champion_songs as champion_songs_module
from pipelines.refresh.beside import StoppedError, beside
from pipelines.refresh.champion_songs import champion_songs
from pipelines.refresh.commits import ModelEntry
from pipelines.refresh.setting import NightSetting, Watch
from pipelines.refresh.songs import SongPlaces

CHAMPION = ModelEntry(digest="a" * 64, folder="models/a")
TWO_POINTS = ((0.8, 0.4, 0.8), (1.0, 0.4, 1.0))


@dataclass(frozen=True)
class Setting:
    """What of a night's setting is asked for here."""

    hands: Any
    context: Any
    store: Any
    watch: Watch


def setting_of(*, overlaps: bool = True, use_gpu: bool = False) -> Any:
    merge, training = SimpleNamespace(coefficients=TWO_POINTS), SimpleNamespace(use_gpu=use_gpu)
    return Setting(
        hands=SimpleNamespace(overlaps=overlaps),
        context=SimpleNamespace(config=SimpleNamespace(merge=merge, training=training)),
        store=SimpleNamespace(model=lambda entry: Path(entry.folder)),
        watch=Watch(),
    )


@pytest.mark.parametrize(
    ("axes", "sung"),
    [
        ((Axis.LYRIC, Axis.MUSICALITY), ["gate", "search"]),
        ((Axis.PROMPT,), ["gate"]),  # its weight is the same in both points: there is nothing to choose from
    ],
)
def test_the_search_is_sung_last_and_only_where_there_is_a_choice(
    axes: tuple[Axis, ...], sung: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(champion_songs_module, "gate_songs", lambda *_: "gate")
    monkeypatch.setattr(champion_songs_module, "search_songs", lambda *_: "search")
    places = SongPlaces(tmp_path, tmp_path)
    assert list(map(str, champion_songs(setting_of(), "2026-01-01", axes, CHAMPION, 0, places))) == sung


def test_work_is_done_beside_the_block_and_its_error_is_the_blocks() -> None:
    begun, may_end = threading.Event(), threading.Event()

    def work(_: NightSetting) -> None:
        begun.set()
        may_end.wait(10)
        raise OSError("full")

    def block() -> None:
        with beside(setting_of(), work):
            assert begun.wait(10), "it begins while the block runs"
            may_end.set()

    with pytest.raises(OSError, match="full"):
        block()


def test_work_stops_at_its_next_progress_where_the_block_fails() -> None:
    begun, stopped = threading.Event(), []

    def work(watched: NightSetting) -> None:
        begun.set()
        try:
            for _ in range(1000):
                watched.watch.progress(5, 10)
                time.sleep(0.01)
        except StoppedError as error:
            stopped.append(str(error))
            raise

    def block() -> None:
        with beside(setting_of(), work):
            assert begun.wait(10)
            raise OSError("no space")

    with pytest.raises(OSError, match="no space"):
        block()
    assert stopped == ["stopped after 5 of 10 songs"]


@pytest.mark.parametrize("setting", [setting_of(overlaps=False), setting_of(use_gpu=True)], ids=["serial", "on GPUs"])
def test_work_is_left_to_who_needs_it_where_there_is_no_room_beside(setting: Any) -> None:
    with beside(setting, lambda _: pytest.fail("done beside")):
        pass
