"""`levo render` reads its options, writes a corpus and says what it did."""

from pathlib import Path

import pytest

from jobs.render import main


def test_help_is_printed_without_rendering(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["--help"])
    assert stopped.value.code == 0
    assert "--num-studio" in capsys.readouterr().out


def test_no_workers_at_all_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="--workers is 0"):
        main(["--out", str(tmp_path / "corpus"), "--workers", "0"])


@pytest.mark.parametrize("long_s", ["29", "301", "nan"])
def test_long_songs_of_no_use_are_refused(tmp_path: Path, long_s: str) -> None:
    with pytest.raises(ValueError, match=f"--long-s is {long_s}; expected 30 to 300 s"):
        main(["--out", str(tmp_path), "--long-s", long_s])


def test_a_missing_folder_option_is_wrong_usage() -> None:
    with pytest.raises(SystemExit) as stopped:
        main([])
    assert stopped.value.code == 2


@pytest.mark.slow
def test_a_corpus_is_written_and_a_second_call_finds_it_done(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--out", str(tmp_path / "corpus"), "--num-studio", "2", "--num-wild", "1", "--num-long", "1"]
    assert main([*options, "--workers", "1"]) == 0
    assert "4 songs" in capsys.readouterr().out
    assert main([*options, "--workers", "1"]) == 0
    assert "0 of them rendered now" in capsys.readouterr().out
    assert len(list((tmp_path / "corpus" / "audio").iterdir())) == 4
