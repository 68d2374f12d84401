import time
from pathlib import Path

from levo.training.journal import append_journal, cut_journal, read_journal
from levo.training.loop import LoggedStep
from pipelines.loop.journal_tail import JournalTail


def _logged(step: int, wall: float = 1.0) -> LoggedStep:
    return LoggedStep(step, 10, {"loss": 1.0 / step}, {"steps_per_s": wall})


def _folder(tmp_path: Path) -> Path:
    (tmp_path / "pretrain").mkdir()
    return tmp_path / "pretrain" / "metrics.jsonl"


def test_each_interval_arrives_once_though_a_crash_writes_some_again(tmp_path: Path) -> None:
    path, seen = _folder(tmp_path), list[int]()
    tail = JournalTail(tmp_path, ["pretrain"], lambda name, logged: seen.append(logged.step))
    for step in (1, 2, 3):
        append_journal(path, _logged(step))
    tail.poll()
    cut_journal(path, 1)
    tail.poll()
    for step in (2, 3, 4):
        append_journal(path, _logged(step, wall=2.0))
    tail.poll()
    assert seen == [1, 2, 3, 4]
    assert [logged.step for logged in read_journal(path)] == [1, 2, 3, 4]


def test_a_phase_that_goes_on_passes_over_what_was_there_and_one_that_starts_afresh_does_not(tmp_path: Path) -> None:
    path, seen = _folder(tmp_path), list[int]()
    for step in (1, 2):
        append_journal(path, _logged(step))
    tail = JournalTail(tmp_path, ["pretrain"], lambda name, logged: seen.append(logged.step))
    append_journal(path, _logged(3))
    tail.poll()
    assert seen == [3]
    cut_journal(path, 0)
    append_journal(path, _logged(1, wall=5.0))
    tail.poll()
    assert seen == [3, 1]


def test_a_half_written_line_waits_for_its_end(tmp_path: Path) -> None:
    path, seen = _folder(tmp_path), list[int]()
    tail = JournalTail(tmp_path, ["pretrain"], lambda name, logged: seen.append(logged.step))
    append_journal(path, _logged(1))
    whole = path.read_text()
    path.write_text(whole + whole[:20])
    tail.poll()
    assert seen == [1]
    append_journal(path, _logged(3))
    path.write_text(whole + path.read_text()[len(whole) + 20 :])
    tail.poll()
    assert seen == [1, 3]


def test_the_thread_hands_on_news_while_the_driver_waits_and_the_rest_at_the_end(tmp_path: Path) -> None:
    path, seen = _folder(tmp_path), list[int]()
    with JournalTail(tmp_path, ["pretrain"], lambda name, logged: seen.append(logged.step), interval_s=0.01):
        append_journal(path, _logged(1))
        deadline = time.monotonic() + 10
        while not seen and time.monotonic() < deadline:
            time.sleep(0.01)
        assert seen == [1]
        append_journal(path, _logged(2))
    assert seen == [1, 2]
