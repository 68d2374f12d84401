"""Charts: scales invert, ticks are round and inside, what is drawn lies in the picture."""

import math
import re

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from jobs.report.charts import Scale, distribution_rows, interval_mark, line_chart, number_text

_NUMBERS = st.floats(-1e6, 1e6).map(lambda value: round(value, 6))


@given(low=_NUMBERS, width=st.floats(1e-3, 1e6), share=st.floats(0, 1))
def test_a_scale_maps_its_ends_to_its_ends_and_keeps_ratios(low: float, width: float, share: float) -> None:
    scale = Scale(low, low + width, 50.0, 450.0)
    assert math.isclose(scale(low), 50.0)
    assert math.isclose(scale(low + width), 450.0, rel_tol=1e-6)
    assert math.isclose(scale(low + share * width), 50.0 + share * 400.0, rel_tol=1e-4, abs_tol=1e-3)


@given(low=_NUMBERS, width=st.floats(1e-2, 1e6))
def test_ticks_are_few_round_and_inside(low: float, width: float) -> None:
    ticks = Scale(low, low + width, 0.0, 100.0).ticks(5)
    assert 1 <= len(ticks) <= 6
    assert all(low - 1e-6 * width <= tick <= low + width * (1 + 1e-6) for tick in ticks)
    steps = np.diff(ticks)
    if len(steps):
        leading = f"{steps[0]:.6e}".split("e")[0]
        assert math.isclose(float(leading), round(float(leading)))
        assert round(float(leading)) in (1, 2, 5, 10)


@given(
    st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=0, max_size=30).map(
        lambda values: [value if not math.isfinite(value) else max(-1e9, min(1e9, value)) for value in values]
    )
)
def test_a_line_stays_in_the_picture_and_leaves_out_what_is_not_finite(values: list[float]) -> None:
    chart = line_chart([("loss", [float(step) for step in range(len(values))], values)], "loss", "nats").text
    (points,) = re.findall(r'<polyline points="([^"]*)"', chart)
    drawn = [tuple(map(float, point.split(","))) for point in points.split()]
    assert len(drawn) == sum(math.isfinite(value) for value in values)
    assert all(0 <= x <= 460 and 0 <= y <= 220 for x, y in drawn)


def test_a_long_curve_is_thinned_but_keeps_its_ends() -> None:
    steps = [float(step) for step in range(10_000)]
    chart = line_chart([("loss", steps, steps)], "loss", "nats").text
    (points,) = re.findall(r'<polyline points="([^"]*)"', chart)
    assert len(points.split()) == 400
    assert points.split()[0].startswith("52.0,")
    assert points.split()[-1].startswith("450.0,")


def test_a_distribution_row_stands_on_its_floor_and_marks_its_median() -> None:
    chart = distribution_rows({"base": [0.0, 1.0, 1.0, 2.0], "empty": []}, "scores", "cosine").text
    assert chart.count("<polygon") == 1
    (median,) = re.findall(r'<line x1="([0-9.]+)"[^>]*class="median"', chart)
    # The axis runs from -0.04 to 2.04 between the pixels 92 and 450, so the median 1 lies in the middle.
    assert float(median) == 271.0


def test_an_interval_beyond_the_axis_is_cut_at_its_end() -> None:
    mark = interval_mark(5.0, 4.0, 6.0, 1.0, "better").text
    assert 'x2="118" y2="7"' in mark
    assert 'cx="118"' in mark


def test_numbers_are_short_and_tiny_ones_are_zero() -> None:
    shown = [number_text(value) for value in (0.05, 5e-17, -0.3, 12.34, 12345.6)]
    assert shown == ["0.050", "0.000", "-0.300", "12.3", "12,346"]
