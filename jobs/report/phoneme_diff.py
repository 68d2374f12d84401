"""What was sung against what was asked for, phoneme by phoneme, as marked text."""

from collections.abc import Sequence
from difflib import SequenceMatcher

from jobs.report.markup import Markup, element, join

_PART = {"equal": "same", "replace": "wrong", "insert": "extra", "delete": "left-out"}


def phoneme_diff(expected: Sequence[str], heard: Sequence[str]) -> Markup:
    """The heard phonemes; wrong and extra ones marked, left-out ones struck through where they belong."""
    matcher = SequenceMatcher(None, expected, heard, autojunk=False)
    parts: list[Markup] = []
    for kind, expected_from, expected_to, heard_from, heard_to in matcher.get_opcodes():
        shown = expected[expected_from:expected_to] if kind == "delete" else heard[heard_from:heard_to]
        wanted = " ".join(expected[expected_from:expected_to])
        title = f"expected {wanted}" if kind == "replace" else None
        name = {"equal": "span", "delete": "del", "insert": "ins", "replace": "mark"}[kind]
        parts.append(element(name, " ".join(shown), class_=_PART[kind], title=title))
    return join(piece for part in parts for piece in (part, " "))
