from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from levo.alignment.search import Coefficients, Goal, Limit, SearchPlan, Trial, choose, next_mixture, search

GOAL = Goal({"similarity": 1.0, "per": -2.0}, limits=(Limit("per", highest=0.25), Limit("musicality", lowest=-0.1)))


def _trial(name: float, **metrics: float | None) -> Trial:
    return Trial((name, 1 - name), {"similarity": 0.5, "per": 0.2, "musicality": 0.0} | metrics)


def test_the_best_mixture_within_the_limits_is_chosen_and_refusals_say_why() -> None:
    trials = [
        _trial(0.1),
        _trial(0.2, similarity=0.9, per=0.26),
        _trial(0.3, per=0.15),
        _trial(0.4, similarity=0.99, musicality=-0.2),
        _trial(0.5, similarity=None),
    ]
    choice = choose(trials, GOAL)
    assert choice.best == trials[2]
    assert dict(choice.refused) == {
        (0.2, 0.8): ("per is 0.26, above 0.25",),
        (0.4, 0.6): ("musicality is -0.2, below -0.1",),
        (0.5, 0.5): ("similarity is missing",),
    }


def test_of_equal_mixtures_the_earlier_is_chosen() -> None:
    assert choose([_trial(0.2), _trial(0.7)], GOAL).best == _trial(0.2)


def test_nothing_is_chosen_where_nothing_keeps_the_limits() -> None:
    choice = choose([_trial(0.2, per=None)], GOAL)
    assert choice.best is None
    assert choice.refused == (((0.2, 0.8), ("per is missing",)),)


def test_the_search_opens_with_the_plans_mixtures_and_looks_no_further_where_none_keeps_the_limits() -> None:
    opening = ((0.5, 0.5), (1.0, 0.0))
    plan, trials = SearchPlan(opening, max_trials=9), list[Trial]()
    for expected in opening:
        assert next_mixture(trials, GOAL, plan) == expected
        trials.append(Trial(expected, {}))
    assert next_mixture(trials, GOAL, plan) is None


@given(st.lists(st.floats(0, 1.5), min_size=2, max_size=3))
def test_the_search_comes_near_a_known_optimum_and_never_below_zero(optimum: list[float]) -> None:
    def evaluate(point: Coefficients) -> dict[str, float | None]:
        return {"loss": sum((value - best) ** 2 for value, best in zip(point, optimum, strict=True))}

    plan = SearchPlan((tuple(0.6 for _ in optimum),), max_trials=80)
    trials = search(evaluate, Goal({"loss": -1.0}), plan)
    best = choose(trials, Goal({"loss": -1.0})).best
    assert best is not None
    for value, wanted in zip(best.coefficients, optimum, strict=True):
        assert value == pytest.approx(wanted, abs=plan.last_step)
    points = [trial.coefficients for trial in trials]
    assert len(set(points)) == len(points)
    assert min(min(point) for point in points) >= 0


def test_the_search_stops_at_its_number_of_trials() -> None:
    goal = Goal({"gain": 1.0})
    trials = search(lambda point: {"gain": point[0]}, goal, SearchPlan(((0.4, 0.4, 0.4),), max_trials=5))
    assert len(trials) == 5
    best = choose(trials, goal).best
    assert best is not None
    assert best.coefficients[0] > 0.9


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        ({"opening": (), "max_trials": 3}, "at least one mixture"),
        ({"opening": ((1.0,), (0.5, 0.5)), "max_trials": 3}, "all of as many models"),
        ({"opening": ((1.0, 0.0),), "max_trials": 0}, "the opening alone has 1"),
        ({"opening": ((1.0, 0.0),), "max_trials": 3, "first_step": 0.01}, "expected them falling"),
    ],
)
def test_a_plan_that_leads_nowhere_is_refused(plan: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SearchPlan(**plan)
