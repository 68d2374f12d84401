"""What one training phase is asked to do: its stage, its data, its optimiser, its length and its seed."""

from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from levo.model.conditions import ConditionDropout
from levo.song.tokens import Stream
from levo.training.lora import LoraOptions
from levo.training.precision import Precision


class TrainedPart(StrEnum):
    """Which of the model's parameters a phase may move."""

    LANGUAGE_MODEL = "language_model"
    AR_DECODER = "ar_decoder"
    WHOLE = "whole"


class Stage(StrEnum):
    """The stages of LeVo, and joint training as the ablation that leaves the staging out."""

    PRETRAIN = "pretrain"
    EXTEND = "extend"
    JOINT = "joint"
    SFT = "sft"
    DPO = "dpo"

    @property
    def trained_part(self) -> TrainedPart:
        """What moves: each tower in its own stage, everything after them."""
        if self is Stage.PRETRAIN:
            return TrainedPart.LANGUAGE_MODEL
        if self is Stage.EXTEND:
            return TrainedPart.AR_DECODER
        return TrainedPart.WHOLE

    @property
    def streams(self) -> tuple[Stream, ...]:
        """The streams whose tokens are predicted in this stage."""
        if self is Stage.PRETRAIN:
            return (Stream.MIXED,)
        if self is Stage.EXTEND:
            return (Stream.VOCAL, Stream.ACCOMPANIMENT)
        return tuple(Stream)


RELEASED_DROPOUT = ConditionDropout()
NO_DROPOUT = ConditionDropout(all_conditions=0.0, lyrics=0.0, audio_prompt=0.0, description=0.0)


@dataclass(frozen=True, slots=True)
class AdamOptions:
    """AdamW as in LeVo's paper (its appendix gives betas and epsilon); decay touches matrices only."""

    betas: tuple[float, float] = (0.9, 0.98)
    epsilon: float = 1e-9
    weight_decay: float = 0.0
    max_gradient_norm: float = 1.0


@dataclass(frozen=True, slots=True)
class PreferenceOptions:
    """DPO's own settings: `beta` scales the implicit reward; per-token mean log-probabilities where normalised."""

    beta: float = 0.1
    length_normalised: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseConfig:
    """One phase of training.

    `data` is an example store, or a pair store for DPO. `batch_rows` songs (or pairs) make one optimiser step, over all
    workers together, in `micro_batches` passes per worker. `init_model` is a model folder; None goes on from the phase
    before. Data order and dropped conditions depend on this record alone, never on the number of workers.

    `chunked_loss` keeps a few rows' logits in memory at a time, in place of all: for many classes.
    `recompute_activations` keeps the layers' inputs alone and computes the rest twice. `compile_layers` has torch
    compile them first: steps round otherwise, and whether they are faster depends on the machine. With `lora` low-rank
    adapters are trained in place of the stage's own part, and merged into the weights at the end.
    """

    name: str
    stage: Stage
    data: Path
    num_steps: int
    batch_rows: int
    learning_rate: float
    seed: int
    micro_batches: int = 1
    warmup_steps: int = 0
    min_learning_rate_ratio: float = 0.1
    adam: AdamOptions = AdamOptions()
    dropout: ConditionDropout = RELEASED_DROPOUT
    preference: PreferenceOptions = PreferenceOptions()
    precision: Precision = Precision.FLOAT32
    init_model: Path | None = None
    checkpoint_every: int = 200
    log_every: int = 10
    bucket_batches: int = 16
    chunked_loss: bool = False
    recompute_activations: bool = False
    compile_layers: bool = False
    lora: LoraOptions | None = None

    def __post_init__(self) -> None:
        for field in ("num_steps", "batch_rows", "micro_batches", "checkpoint_every", "log_every", "bucket_batches"):
            if getattr(self, field) < 1:
                raise ValueError(f"phase {self.name}: {field} is {getattr(self, field)}; expected at least 1")
        if self.batch_rows % self.micro_batches:
            raise ValueError(
                f"phase {self.name}: {self.batch_rows} rows do not divide into {self.micro_batches} micro-batches"
            )
        if self.checkpoint_every % self.log_every:
            raise ValueError(
                f"phase {self.name}: checkpoint_every {self.checkpoint_every} is no multiple of log_every "
                f"{self.log_every}; a resumed run would log other means"
            )
        if self.stage is Stage.DPO and self.dropout != NO_DROPOUT:
            raise ValueError(f"phase {self.name}: DPO compares songs under the same conditions; give NO_DROPOUT")

    def to_json(self) -> dict[str, Any]:
        """Plain values that `from_json` reads back to an equal record."""
        plain = asdict(self)
        plain["data"] = str(self.data)
        plain["init_model"] = None if self.init_model is None else str(self.init_model)
        plain["adam"]["betas"] = list(self.adam.betas)
        return plain

    @classmethod
    def from_json(cls, plain: dict[str, Any]) -> "PhaseConfig":
        """The record that `to_json` wrote."""
        fields = dict(plain)
        adam = dict(fields["adam"])
        adam["betas"] = tuple(adam["betas"])
        fields |= {
            "stage": Stage(fields["stage"]),
            "data": Path(fields["data"]),
            "init_model": None if fields["init_model"] is None else Path(fields["init_model"]),
            "adam": AdamOptions(**adam),
            "dropout": ConditionDropout(**fields["dropout"]),
            "preference": PreferenceOptions(**fields["preference"]),
            "precision": Precision(fields["precision"]),
            "lora": None if fields["lora"] is None else LoraOptions(**fields["lora"]),
        }
        return cls(**fields)

    def recipe_fields(self) -> dict[str, Any]:
        """What decides the outcome besides data and initial weights: no names, no paths, no reporting intervals."""
        incidental = {"name", "data", "init_model", "checkpoint_every", "log_every", "recompute_activations"}
        return {name: value for name, value in self.to_json().items() if name not in incidental}


def steps_for_epochs(num_examples: int, batch_rows: int, num_epochs: float) -> int:
    """Optimiser steps that see every example `num_epochs` times, rounded up."""
    return max(1, -int(-num_epochs * num_examples // batch_rows))
