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


def test_the_search_opens_with_the_equal_mixture_and_the_pure_models() -> None:
    plan, trials = SearchPlan(), list[Trial]()
    for expected in ((0.5, 0.5), (1.0, 0.0), (0.0, 1.0)):
        assert next_mixture(trials, GOAL, 2, plan) == expected
        trials.append(Trial(expected, {}))
    # Nothing kept the limits, so there is nothing to look around.
    assert next_mixture(trials, GOAL, 2, plan) is None


@given(
    st.lists(st.floats(0.05, 1), min_size=2, max_size=3).map(lambda values: [value / sum(values) for value in values])
)
def test_the_search_comes_near_a_known_optimum_and_stays_on_the_simplex(optimum: list[float]) -> None:
    seen: list[Coefficients] = []

    def evaluate(point: Coefficients) -> dict[str, float | None]:
        seen.append(point)
        return {"loss": sum((value - best) ** 2 for value, best in zip(point, optimum, strict=True))}

    outcome = search(evaluate, Goal({"loss": -1.0}), len(optimum), SearchPlan(max_trials=60, last_step=0.05))
    assert outcome.choice.best is not None
    for value, best in zip(outcome.choice.best.coefficients, optimum, strict=True):
        assert value == pytest.approx(best, abs=0.12)
    assert len(set(seen)) == len(seen) == len(outcome.trials)
    for point in seen:
        assert sum(point) == pytest.approx(1)
        assert min(point) >= 0


def test_the_search_stops_at_its_number_of_trials() -> None:
    outcome = search(lambda point: {"gain": point[0]}, Goal({"gain": 1.0}), 3, SearchPlan(max_trials=5))
    assert len(outcome.trials) == 5
    assert outcome.choice.best is not None
    assert outcome.choice.best.coefficients == (1.0, 0.0, 0.0)
