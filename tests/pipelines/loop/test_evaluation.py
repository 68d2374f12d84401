"""The ablation table: differences are paired, missing scores stay missing."""

import numpy as np
import pytest

from levo.song.candidate import ScoredCandidate
from levo.song.scores import Metric, Score, missing_score
from pipelines.loop.evaluation import evaluate

ERROR = Metric("error", "lower", "errors", "training")
OTHER = Metric("other", "higher", "points", "held_out")


def scored(model: str, values: list[float | None]) -> list[ScoredCandidate]:
    return [
        ScoredCandidate(
            f"{model}-{place}",
            f"prompt-{place}",
            {"error": missing_score("silent") if value is None else Score(value)},
        )
        for place, value in enumerate(values)
    ]


def test_a_constant_gain_is_seen_through_any_spread_over_prompts() -> None:
    base = np.random.default_rng(0).normal(0.5, 3.0, 50)
    songs = {"base": scored("base", base.tolist()), "model": scored("model", (base - 0.25).tolist())}
    cell = evaluate(songs, (ERROR,), base="base", absent={}, seed=0).cell("model", ERROR)
    assert cell.difference is not None
    assert cell.difference.mean == pytest.approx(-0.25)
    assert cell.difference.excludes_zero
    assert cell.value is not None
    assert cell.value.high - cell.value.low > 1.0


def test_prompts_without_a_score_in_one_model_leave_the_difference_of_the_others() -> None:
    songs = {"base": scored("base", [1.0, 2.0, 3.0, 100.0]), "model": scored("model", [0.0, 1.0, 2.0, None])}
    cell = evaluate(songs, (ERROR,), base="base", absent={}, seed=0).cell("model", ERROR)
    assert cell.difference is not None
    assert cell.difference.mean == pytest.approx(-1.0)
    assert cell.num_songs_without_score == 1


def test_an_absent_metric_says_why_and_has_no_number() -> None:
    songs = {"base": scored("base", [1.0, 2.0])}
    cell = evaluate(songs, (OTHER,), base="base", absent={"other": "no backend"}, seed=0).cell("base", OTHER)
    assert (cell.value, cell.difference, cell.missing) == (None, None, "no backend")


def test_the_base_differs_from_itself_by_nothing() -> None:
    songs = {"base": scored("base", [1.0, 2.0])}
    assert evaluate(songs, (ERROR,), base="base", absent={}, seed=0).cell("base", ERROR).difference is None


def test_a_missing_base_is_refused() -> None:
    with pytest.raises(ValueError, match="no scored songs of the base"):
        evaluate({"model": scored("model", [1.0])}, (ERROR,), base="base", absent={}, seed=0)
