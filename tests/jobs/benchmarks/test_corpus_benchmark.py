"""The corpus benchmark: its ratios are what they say, and both arms prepare the same songs."""

import json
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import jobs.benchmarks.corpus_run
import tests.jobs.test_prepare_command
from jobs.bench_corpus import bench_corpus
from jobs.benchmarks.corpus import ArmRounds, CorpusFigures
from jobs.benchmarks.corpus_run import FLOW, POOL, CorpusRun, RunFigures
from jobs.benchmarks.corpus_run import main as run_arm
from pipelines.corpus.snapshot import open_corpus
from pipelines.flow.outcomes import is_usable
from tests.jobs.test_prepare_command import fake_models, write_recordings


def figures(wall_s: float, first_s: float, cpu_s: float = 60.0, again_s: float = 1.0) -> RunFigures:
    return RunFigures(100, wall_s, first_s, cpu_s, 2_000_000_000, again_s)


def test_ratios_are_of_medians() -> None:
    rounds = ArmRounds(
        (figures(30, 6), figures(90, 6), figures(32, 8)), (figures(24, 4), figures(25, 5), figures(11, 1))
    )
    found = CorpusFigures(RunFigures(10, 8, 6, 15, 1_900_000_000, 0.5), rounds, rounds)
    assert rounds.speed_ratio == 24 / 32
    assert rounds.steady_ratio == 20 / 24
    assert found.rerun_share == 0.5 / 45
    assert found.memory_growth == 2 / 1.9


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    return write_recordings(tmp_path / "recordings")


@pytest.fixture
def models_for_workers(local_ray: None) -> Iterator[None]:
    from ray import cloudpickle

    # Ray's workers cannot import a test module by its name.
    cloudpickle.register_pickle_by_value(tests.jobs.test_prepare_command)
    yield
    cloudpickle.unregister_pickle_by_value(tests.jobs.test_prepare_command)


@pytest.mark.ray
@pytest.mark.usefixtures("models_for_workers")
def test_both_arms_prepare_the_same_songs(
    tmp_path: Path, recordings: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(jobs.benchmarks.corpus_run, "embedded_models", fake_models)
    usable = {}
    for arm in (FLOW, POOL):
        run = CorpusRun(str(recordings), str(tmp_path / arm), str(tmp_path), 1, 2)
        run_arm([arm, json.dumps({name: getattr(run, name) for name in CorpusRun.__slots__})])
        told = RunFigures(**json.loads(capsys.readouterr().out.splitlines()[-1]))
        assert told.num_songs == 4
        assert 0 < told.first_s < told.wall_s
        assert told.peak_bytes > 0
        usable[arm] = told
    by_hand = pq.read_table(tmp_path / POOL / "songs-by-hand.parquet")
    assert sum(is_usable(by_hand)) == open_corpus(tmp_path / FLOW).tally().num_songs == 2
    assert usable[FLOW].again_cpu_s > 0


def test_bad_settings_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="--songs is 9, --runs 1; expected 10 or more"):
        bench_corpus(tmp_path, 9, 1, as_json=False)
