from hypothesis import given
from hypothesis import strategies as st

from pipelines.loop.judge_truth import order_share

_NUMBERS = st.lists(st.integers(-3, 3).map(float), min_size=1, max_size=8)


def test_all_larger_is_one_and_all_equal_a_half() -> None:
    assert order_share([2.0, 3.0], [0.0, 1.0]) == 1.0
    assert order_share([1.0], [1.0, 1.0]) == 0.5


@given(_NUMBERS, _NUMBERS)
def test_what_one_list_wins_the_other_loses(first: list[float], second: list[float]) -> None:
    assert abs(order_share(first, second) + order_share(second, first) - 1.0) < 1e-12
