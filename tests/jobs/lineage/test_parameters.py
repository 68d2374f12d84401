"""Flat parameters: every leaf once, under its dotted path, short enough for any server."""

from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from jobs.lineage.parameters import LONGEST_VALUE, flat_parameters, loop_parameters, step_parameters
from jobs.recipes.loop import demo
from levo.song.scores import Axis
from levo.training.phases import Stage


@dataclass(frozen=True)
class Named:
    name: str
    steps: int


@dataclass(frozen=True)
class Plain:
    value: float


def test_records_mappings_and_lists_go_by_their_dotted_paths() -> None:
    nested = {
        "phases": (Named("short", 5), Named("long", 7)),
        "shapes": (Plain(0.5), Plain(1.5)),
        "rate": {Axis.LYRIC: 1e-4},
        "delays": (0, 2, 2),
        "coefficients": ((0.5, 0.25), (1.0, 0.0)),
        "stage": Stage.DPO,
        "limit": None,
        "on": False,
    }
    assert flat_parameters(nested) == {
        "phases.short.name": "short",
        "phases.short.steps": 5,
        "phases.long.name": "long",
        "phases.long.steps": 7,
        "shapes.0.value": 0.5,
        "shapes.1.value": 1.5,
        "rate.lyric": 1e-4,
        "delays": "[0, 2, 2]",
        "coefficients": "[[0.5, 0.25], [1.0, 0.0]]",
        "stage": "dpo",
        "limit": None,
        "on": False,
    }


def test_values_that_are_too_long_keep_their_beginning_and_differ_where_their_ends_do() -> None:
    texts = [flat_parameters({"words": "moon " * 100 + ending})["words"] for ending in ("a", "b")]
    assert [len(str(text)) for text in texts] == [LONGEST_VALUE, LONGEST_VALUE]
    assert all(str(text).startswith("moon moon") for text in texts)
    assert texts[0] != texts[1]


def _num_leaves(value: Any) -> int:
    """Counted another way: scalars, and lists of anything but records, are one each."""
    if is_dataclass(value):
        return sum(_num_leaves(getattr(value, field.name)) for field in fields(value))
    if isinstance(value, dict):
        return sum(map(_num_leaves, value.values()))
    if isinstance(value, tuple) and value and is_dataclass(value[0]):
        return sum(map(_num_leaves, value))
    return 1


def test_the_whole_configuration_is_there() -> None:
    config = demo(5)
    parameters = loop_parameters(config)
    assert len(parameters) == _num_leaves(config)
    assert parameters["seed"] == 5
    *_, extend = config.training.phases
    assert parameters[f"training.phases.{extend.name}.learning_rate"] == extend.learning_rate
    assert parameters["alignment.margins.lyric"] == config.alignment.margins[Axis.LYRIC]
    assert max(len(str(value)) for value in parameters.values()) <= LONGEST_VALUE


def test_a_step_has_its_own_part_under_the_same_names() -> None:
    config = demo(0)
    whole = loop_parameters(config)
    for step, present, absent in (
        ("train", "training.phases.pretrain.steps", "alignment.beta"),
        ("align", "alignment.beta", "merge.max_similarity_loss"),
        ("initial", "training.table_std", "training.max_failures"),
        ("separation", "corpus.num_separation_sample", "corpus.num_studio"),
    ):
        part = step_parameters(step, config)
        assert part.items() <= whole.items()
        assert present in part
        assert absent not in part
    assert step_parameters("a step of another program", config) == {"seed": 0}
