"""The serving trial: clean on a real service, and not clean where an answer is lost, doubled or somebody else's."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jobs.bench_serving import bench_serving, table
from jobs.benchmarks.serving import (
    KILL_FRONT,
    KILL_REPLICA,
    SWAP,
    Answers,
    ServingTrial,
    ServingTrialConfig,
    drawn,
    judged,
    serving_trial,
)
from jobs.benchmarks.small_models import small_models
from levo.model.sampling.request import SampledSong
from levo.model.store import model_digest
from levo.song.tokens import TokenGrid
from tests.pipelines.loop.test_http_serving import free_address

TRIAL_LIMIT_S = 500


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return small_models(tmp_path_factory.mktemp("models"), 2)


@pytest.fixture(scope="module")
def answers(models: list[Path]) -> Answers:
    """Six requests, half answered by each model."""
    found = Answers({f"song-{seed}": seed for seed in range(6)})
    for place, folder in enumerate(models):
        songs = drawn(folder, range(3 * place, 3 * place + 3))
        found.answers += [
            (f"song-{seed}", SampledSong(f"song-{seed}", seed, grid(codes), True, model_digest(folder)))
            for seed, codes in songs.items()
        ]
    return found


def grid(codes: list[list[int]]) -> TokenGrid:
    return TokenGrid(np.array(codes, np.int32))


def counts(found: Answers, models: list[Path]) -> tuple[int, int, int, int]:
    way = judged("handle", found, models)
    return way.num_lost, way.num_doubled, way.num_mixed, way.num_unknown_models


def with_first(found: Answers, song: SampledSong | str) -> Answers:
    return Answers(found.seeds, [(found.answers[0][0], song), *found.answers[1:]])


def test_every_kind_of_wrong_answer_is_counted(answers: Answers, models: list[Path]) -> None:
    first, last = answers.answers[0][1], answers.answers[-1][1]
    assert isinstance(first, SampledSong)
    assert isinstance(last, SampledSong)
    assert counts(answers, models) == (0, 0, 0, 0)
    assert counts(Answers(answers.seeds, answers.answers[1:]), models) == (1, 0, 0, 0)
    assert counts(with_first(answers, "no engine answers"), models) == (1, 0, 0, 0)
    assert counts(with_first(answers, replace(first, interrupted=True)), models) == (1, 0, 0, 0)
    assert counts(Answers(answers.seeds, [*answers.answers, answers.answers[2]]), models) == (0, 1, 0, 0)
    assert counts(with_first(answers, replace(first, model_digest=last.model_digest)), models) == (0, 0, 1, 0)
    assert counts(with_first(answers, replace(first, model_digest="?")), models) == (0, 0, 0, 1)
    codes = first.tokens.codes.copy()
    codes[0, -1] ^= 1
    assert counts(with_first(answers, replace(first, tokens=TokenGrid(codes))), models) == (0, 0, 1, 0)


def test_the_faults_are_those_asked_for_in_an_order_of_the_seeds() -> None:
    config = ServingTrialConfig(num_swaps=3, num_replica_kills=2, num_front_kills=1)
    assert sorted(config.faults) == sorted([SWAP] * 3 + [KILL_REPLICA] * 2 + [KILL_FRONT])
    assert config.faults == config.faults
    assert len({tuple(replace(config, seed=seed).faults) for seed in range(8)}) > 1


def test_the_table_tells_every_count(answers: Answers, models: list[Path]) -> None:
    way = replace(judged("HTTP", answers, models), num_lost=11, num_doubled=12, num_mixed=13, num_unknown_models=14)
    trial = ServingTrial({SWAP: 4, KILL_REPLICA: 3, KILL_FRONT: 1}, (way,), {"abcdef0123": 6}, 7, 99.6)
    text = table(trial)
    assert "| HTTP | 6 | 6 | 11 | 12 | 13 | 14 |" in text
    assert "4 x weights swapped, 3 x replica killed, 1 x front killed, in 100 s" in text
    assert "abcdef01 6; answers that died with a replica and came from another: 7" in text
    assert not trial.is_clean
    assert replace(trial, ways=(judged("HTTP", answers, models),)).is_clean


def test_too_few_faults_make_no_trial() -> None:
    with pytest.raises(ValueError, match="--runs is 3"):
        bench_serving(3, 0, as_json=False)


@pytest.mark.ray
@pytest.mark.slow
def test_replicas_killed_and_models_swapped_under_load_lose_double_and_mix_nothing(
    local_ray: None, tmp_path: Path, within: Callable[..., Any]
) -> None:
    config = ServingTrialConfig(num_swaps=2, num_replica_kills=1, num_front_kills=1, seed=3)
    found: ServingTrial = within(TRIAL_LIMIT_S, lambda: serving_trial(config, tmp_path, free_address()))
    assert found.is_clean, table(found)
    assert all(way.num_asked > 0 for way in found.ways)
    assert len(found.songs_by_model) > 1
