"""Charts as inline SVG, drawn by pure functions; colours come from the page's style, by series number."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from jobs.report.markup import Markup, element
from levo.song.arrays import Array

_WIDTH = 460.0
_HEIGHT = 220.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 52.0, 10.0, 10.0, 34.0
_NAME_WIDTH = 92.0
_ROW_HEIGHT = 26.0
_MAX_POINTS = 400
_NUM_COLOURS = 8


@dataclass(frozen=True, slots=True)
class Scale:
    """A linear map from data to pixels."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """The pixel of a value."""
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)

    def ticks(self, count: int = 5) -> list[float]:
        """Round values inside the range, about `count` of them."""
        step = _round_step((self.high - self.low) / count)
        first = math.ceil(self.low / step - 1e-9)
        return [number * step for number in range(first, math.floor(self.high / step + 1e-9) + 1)]


def line_chart(lines: Sequence[tuple[str, Sequence[float], Sequence[float]]], title: str, unit: str) -> Markup:
    """Lines of (name, x, y); points that are not finite are left out."""
    drawn = [_finite(name, steps, values) for name, steps, values in lines]
    horizontal = _scale([x for _, points in drawn for x, _ in points], _LEFT, _WIDTH - _RIGHT, margin=0.0)
    vertical = _scale([y for _, points in drawn for _, y in points], _HEIGHT - _BOTTOM, _TOP, margin=0.05)
    shapes = [
        element(
            "polyline",
            points=" ".join(f"{horizontal(x):.1f},{vertical(y):.1f}" for x, y in _thinned(points)),
            class_=f"line series-{number % _NUM_COLOURS}",
        )
        for number, (_, points) in enumerate(drawn)
    ]
    names = [
        element("text", "step", x=_WIDTH - _RIGHT, y=_HEIGHT - 4, class_="name end"),
        element("text", unit, x=12.0, y=_TOP + 2, class_="name end", transform=f"rotate(-90 12 {_TOP + 2})"),
    ]
    return _figure([*_axes(horizontal, vertical), *shapes, *names], title, _HEIGHT)


def distribution_rows(
    values_by_name: Mapping[str, Sequence[float]], title: str, unit: str, num_bins: int = 40
) -> Markup:
    """One histogram a row over a common axis, each with its median as a stroke; empty rows stay empty."""
    everything = [value for values in values_by_name.values() for value in values]
    horizontal = _scale(everything, _NAME_WIDTH, _WIDTH - _RIGHT, margin=0.02)
    edges = np.linspace(horizontal.low, horizontal.high, num_bins + 1)
    base = _TOP + _ROW_HEIGHT * len(values_by_name)
    shapes: list[Markup] = []
    for number, (name, values) in enumerate(values_by_name.items()):
        floor = _TOP + _ROW_HEIGHT * (number + 1)
        shapes += _distribution_row(number, name, values, edges, horizontal, floor)
    for value in horizontal.ticks(5):
        x = horizontal(value)
        shapes.append(element("line", x1=x, y1=_TOP, x2=x, y2=base, class_="grid"))
        shapes.append(element("text", _tick_text(value), x=x, y=base + 15, class_="tick middle"))
    shapes.append(element("text", unit, x=_WIDTH - _RIGHT, y=base + 30, class_="name end"))
    return _figure(shapes, title, base + 34)


def interval_mark(value: float, low: float, high: float, extent: float, css_class: str) -> Markup:
    """A difference and its interval on an axis from -extent to +extent, zero in the middle."""
    scale = Scale(-extent, extent, 2.0, 118.0)
    ends = [min(118.0, max(2.0, scale(end))) for end in (low, high)]
    return element(
        "svg",
        element("line", x1=60.0, y1=1.0, x2=60.0, y2=13.0, class_="zero"),
        element("line", x1=ends[0], y1=7.0, x2=ends[1], y2=7.0, class_="span"),
        element("circle", cx=min(118.0, max(2.0, scale(value))), cy=7.0, r=3.2),
        viewBox="0 0 120 14",
        class_=f"interval {css_class}",
        aria_hidden="true",
    )


def legend(names: Sequence[str]) -> Markup:
    """The names beside their colours, in the order of the series."""
    entries = [
        element(
            "span",
            element("i", class_=f"swatch series-{number % _NUM_COLOURS}", aria_hidden="true"),
            name,
            class_="entry",
        )
        for number, name in enumerate(names)
    ]
    return element("p", entries, class_="legend")


def number_text(value: float) -> str:
    """A number as a cell shows it: three decimals, fewer where it is large."""
    digits = 3 if abs(value) < 10 else 1 if abs(value) < 1000 else 0
    return f"{value:,.{digits}f}"


def _figure(shapes: Sequence[Markup], title: str, height: float) -> Markup:
    box = f"0 0 {_WIDTH:.0f} {height:.0f}"
    return element(
        "figure",
        element("figcaption", title),
        element("svg", shapes, viewBox=box, class_="chart", role="img", aria_label=title),
    )


def _distribution_row(
    number: int,
    name: str,
    values: Sequence[float],
    edges: Float64[Array, " edge"],
    horizontal: Scale,
    floor: float,
) -> list[Markup]:
    label = element("text", name, x=_NAME_WIDTH - 8, y=floor - 7, class_="tick end")
    if not values:
        return [label]
    counts = np.histogram(values, edges)[0]
    vertical = Scale(0.0, float(counts.max()), floor, floor - _ROW_HEIGHT + 4)
    median = horizontal(float(np.median(values)))
    return [
        label,
        element(
            "polygon",
            points=_outline(edges, counts, horizontal, vertical),
            class_=f"area series-{number % _NUM_COLOURS}",
        ),
        element("line", x1=median, y1=floor, x2=median, y2=floor - _ROW_HEIGHT + 4, class_="median"),
    ]


def _axes(horizontal: Scale, vertical: Scale) -> list[Markup]:
    marks: list[Markup] = []
    for value in vertical.ticks(4):
        y = vertical(value)
        marks.append(element("line", x1=_LEFT, y1=y, x2=_WIDTH - _RIGHT, y2=y, class_="grid"))
        marks.append(element("text", _tick_text(value), x=_LEFT - 5, y=y + 3.5, class_="tick end"))
    for value in horizontal.ticks(5):
        marks.append(element("text", _tick_text(value), x=horizontal(value), y=_HEIGHT - 19, class_="tick middle"))
    base = _HEIGHT - _BOTTOM
    marks.append(element("line", x1=_LEFT, y1=base, x2=_WIDTH - _RIGHT, y2=base, class_="axis"))
    return marks


def _tick_text(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _scale(values: Sequence[float], start: float, end: float, margin: float) -> Scale:
    """A scale over the values, widened by a share of their range; any range at all where they have none."""
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    if high <= low:
        low, high = low - 0.5, high + 0.5
    extra = (high - low) * margin
    return Scale(low - extra, high + extra, start, end)


def _round_step(rough: float) -> float:
    """The smallest of 1, 2, 5 times a power of ten that is not below `rough`."""
    power = 10.0 ** math.floor(math.log10(rough))
    return next(factor * power for factor in (1.0, 2.0, 5.0, 10.0) if factor * power >= rough * (1 - 1e-9))


def _finite(name: str, steps: Sequence[float], values: Sequence[float]) -> tuple[str, list[tuple[float, float]]]:
    points = zip(steps, values, strict=True)
    return name, [(x, y) for x, y in points if math.isfinite(x) and math.isfinite(y)]


def _thinned(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """At most `_MAX_POINTS` of the points, evenly, the last among them."""
    if len(points) <= _MAX_POINTS:
        return list(points)
    chosen = np.linspace(0, len(points) - 1, _MAX_POINTS).round().astype(int)
    return [points[number] for number in chosen]


def _outline(edges: Float64[Array, " edge"], counts: Int64[Array, " bin"], horizontal: Scale, vertical: Scale) -> str:
    """The corners of a histogram's bars, from its floor and back to it."""
    corners = [(edges[0], 0)]
    for left, right, count in zip(edges[:-1], edges[1:], counts, strict=True):
        corners += [(left, count), (right, count)]
    corners.append((edges[-1], 0))
    return " ".join(f"{horizontal(float(x)):.1f},{vertical(float(y)):.1f}" for x, y in corners)
