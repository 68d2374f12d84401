"""Lines of logs are JSON that says what they are about, where that is asked for."""

import json
import logging
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest

from pipelines.flow.attempts import Attempts
from pipelines.flow.executor import InProcessExecutor
from pipelines.flow.pipeline import Pipeline
from pipelines.flow.run import run_flow
from pipelines.flow.stage import Stage, Work, one_by_one
from pipelines.observability.logs import JsonFormatter, are_json, current_context, log_context, worker_logging


class Lines(logging.Handler):
    """A handler that keeps the lines it would write."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(JsonFormatter())
        self.lines: list[dict[str, Any]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(json.loads(self.format(record)))


@pytest.fixture
def lines() -> Iterator[list[dict[str, Any]]]:
    handler = Lines()
    root = logging.getLogger()
    root.addHandler(handler)
    yield handler.lines
    root.removeHandler(handler)


def test_a_line_says_what_it_is_about(lines: list[dict[str, Any]]) -> None:
    logger = logging.getLogger("levo.test")
    with log_context(run_key="night-1", attempt=2), log_context(stage="check", song="song-7"):
        logger.warning('read "%s"\nin two lines', "x.wav")
    logger.warning("outside")
    inside, outside = lines
    assert inside.pop("time").endswith("+00:00")
    assert inside == {
        "level": "warning",
        "logger": "levo.test",
        "message": 'read "x.wav"\nin two lines',
        "run_key": "night-1",
        "stage": "check",
        "attempt": 2,
        "song": "song-7",
    }
    assert set(outside) == {"time", "level", "logger", "message"}


def test_a_line_is_one_line_and_holds_its_exception() -> None:
    try:
        raise ValueError("no song")
    except ValueError:
        record = logging.LogRecord("x", logging.ERROR, "x.py", 1, "failed", None, sys.exc_info())
    text = JsonFormatter().format(record)
    assert "\n" not in text
    assert json.loads(text)["exception"].endswith("ValueError: no song")


def test_a_context_ends_with_its_block_even_when_it_raises() -> None:
    def work() -> None:
        with log_context(song="a"):
            raise KeyError("a")

    with pytest.raises(KeyError):
        work()
    assert current_context().song is None


@pytest.mark.parametrize(
    ("environment", "is_terminal", "expected"),
    [
        ({}, False, False),
        ({"LEVO_LOG_FORMAT": "json"}, True, True),
        ({"LEVO_SUBMISSION_ID": "levo-tiny-align-1"}, False, True),
        ({"RAY_JOB_CONFIG_JSON_ENV_VAR": "{}"}, False, True),
        ({"RAY_JOB_CONFIG_JSON_ENV_VAR": "{}"}, True, False),
        ({"RAY_JOB_CONFIG_JSON_ENV_VAR": "{}", "LEVO_LOG_FORMAT": "text"}, False, False),
    ],
)
def test_logs_are_json_where_asked_and_in_a_clusters_job(
    environment: dict[str, str], is_terminal: bool, expected: bool
) -> None:
    assert are_json(environment, is_terminal=is_terminal) is expected


def test_an_unknown_format_is_named() -> None:
    with pytest.raises(ValueError, match="LEVO_LOG_FORMAT is 'yaml'; expected 'json' or 'text'"):
        are_json({"LEVO_LOG_FORMAT": "yaml"}, is_terminal=False)


def test_where_logs_are_plain_ray_is_told_nothing() -> None:
    assert worker_logging() == {}


@dataclass(frozen=True, slots=True)
class Song:
    song_id: str


@dataclass(frozen=True, slots=True)
class Listened:
    song_id: str


@dataclass(frozen=True, slots=True)
class Listen(Stage[Song, Listened]):
    name: ClassVar[str] = "listen"
    version: ClassVar[str] = "1"

    def open(self) -> Work[Song, Listened]:
        return one_by_one(self._listen)

    def _listen(self, song: Song) -> Listened:
        logging.getLogger("stage").warning("listening")
        return Listened(song.song_id)


@dataclass(frozen=True, slots=True)
class Compare(Stage[Listened, Song]):
    name: ClassVar[str] = "compare"
    version: ClassVar[str] = "1"

    def open(self) -> Work[Listened, Song]:
        return self._compare

    def _compare(self, batch: Sequence[Listened]) -> list[Song]:
        if any(one.song_id == "odd" for one in batch):
            raise RuntimeError("nothing compares to it")
        logging.getLogger("stage").warning("comparing")
        return [Song(one.song_id) for one in batch]


def test_lines_of_a_stage_name_their_songs(lines: list[dict[str, Any]], tmp_path: Path) -> None:
    pipeline = Pipeline[Song, Song]((Listen(), Compare()))
    songs = [Song(name) for name in ("a", "b", "odd")]
    with log_context(run_key="corpus"):
        run_flow(pipeline, songs[:2], InProcessExecutor())
        run_flow(pipeline, songs[2:], InProcessExecutor(), attempts=Attempts(tmp_path))
    told = [(line["stage"], line.get("song"), tuple(line.get("songs", ()))) for line in lines]
    assert told == [
        ("listen", "a", ()),
        ("listen", "b", ()),
        ("compare", None, ("a", "b")),
        ("listen", "odd", ()),
        ("compare", "odd", ()),
    ]
    assert {line["run_key"] for line in lines} == {"corpus"}
    assert lines[-1]["exception"].endswith("RuntimeError: nothing compares to it")


def test_the_command_line_complains_in_json_where_asked(tmp_path: Path) -> None:
    arguments = ["corpus", "status", "--corpus", str(tmp_path / "nowhere")]
    environment = {"LEVO_LOG_FORMAT": "json", "LEVO_SUBMISSION_ID": "levo-tiny-corpus-1"}
    done = subprocess.run(
        [sys.executable, "-m", "jobs", *arguments], env=environment, capture_output=True, text=True, check=False
    )
    line = json.loads(done.stderr.splitlines()[-1])
    assert done.returncode == 1
    assert (line["level"], line["run_key"]) == ("error", "levo-tiny-corpus-1")
    assert "nowhere" in line["message"]
