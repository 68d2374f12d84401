"""The trial of the audio prompt in words: a small table for the report, and the line under the ablation."""

from collections.abc import Mapping

from jobs.report.data import FactTable
from jobs.summary import AUDIO_PROMPT_ROWS, Measurement

_RIGHT, _WRONG = AUDIO_PROMPT_ROWS


def audio_prompt_table(arms: Mapping[str, Measurement]) -> FactTable:
    """Both arms, and how much more like the right prompt's audio the songs of the right arm are."""
    return FactTable(
        "The audio prompt alone",
        "The base on short prompts without a description: in one arm with the prompt's own audio, in the other with "
        "that of another singer and style. Similarity to the prompt's own audio in both.",
        ("asked for with", "similarity to the right prompt", "difference from the wrong prompt"),
        tuple(
            (f"the {arm} prompt", _value_text(arms[arm]), difference_text(arms[arm]) or "") for arm in AUDIO_PROMPT_ROWS
        ),
    )


def audio_prompt_line(arms: Mapping[str, Measurement]) -> str:
    """Whether the right prompt beats the wrong one, in one line."""
    right, wrong = arms[_RIGHT], arms[_WRONG]
    head = "audio prompt alone, similarity to the right one:"
    if right.value is None or wrong.value is None or right.difference is None:
        return f"{head} missing: {right.missing or wrong.missing or 'no prompt in both arms'}"
    difference = right.difference
    holds = "not established" if not difference.excludes_zero else "yes" if difference.value > 0 else "no"
    return (
        f"{head} {right.value:.3f} asked for with it, {wrong.value:.3f} with a wrong one, {difference_text(right)}; "
        f"right beats wrong: {holds}"
    )


def difference_text(measurement: Measurement) -> str | None:
    """A difference with its interval; None where there is none."""
    if measurement.difference is None:
        return None
    low, high = measurement.difference.interval
    return f"{measurement.difference.value:+.3f} [{low:+.3f}, {high:+.3f}]"


def _value_text(measurement: Measurement) -> str:
    if measurement.value is None:
        return f"missing: {measurement.missing}"
    low, high = measurement.interval or (measurement.value, measurement.value)
    return f"{measurement.value:.3f} [{low:.3f}, {high:.3f}]"
