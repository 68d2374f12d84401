"""Which parameters a phase trains, by name, and the proof that these moved and the others did not."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from levo.model.parts import part_of
from levo.song.digest import digest_bytes
from levo.training.phases import TrainedPart


class FrozenParameterMovedError(RuntimeError):
    """A parameter that a phase must not touch is not bit-identical after it."""


def is_trained(name: str, part: TrainedPart) -> bool:
    """Whether a parameter of this name moves: each tower with what only feeds it, or all."""
    return part is TrainedPart.WHOLE or part_of(name).value == part.value


def freeze_all_but(model: nn.Module, part: TrainedPart) -> tuple[str, ...]:
    """Leave gradients on for `part` alone; the names that train. Raises ValueError where none does."""
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(is_trained(name, part))
    trained = tuple(name for name, parameter in model.named_parameters() if parameter.requires_grad)
    if not trained:
        raise ValueError(f"{type(model).__name__} has no parameters of the {part}; expected a LeLM")
    return trained


def tensor_digests(tensors: Mapping[str, Tensor]) -> dict[str, str]:
    """SHA-256 of each tensor's dtype, shape and bytes, by name."""
    return {name: tensor_digest(tensor) for name, tensor in tensors.items()}


def tensor_digest(tensor: Tensor) -> str:
    """SHA-256 of a tensor's dtype, shape and bytes."""
    raw = tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes()
    return digest_bytes(f"{tensor.dtype}{tuple(tensor.shape)}".encode(), raw)


def assert_unmoved(before: Mapping[str, str], after: Mapping[str, str]) -> None:
    """Raise `FrozenParameterMovedError` naming every tensor whose digest changed."""
    moved = sorted(name for name, digest in before.items() if after.get(name) != digest)
    if moved:
        raise FrozenParameterMovedError(f"{len(moved)} frozen tensors moved in training, first {moved[0]!r}: {moved}")


class NothingMovedError(RuntimeError):
    """A phase ended with the weights that it began with: its steps vanish in the number format of the weights."""


def assert_moved(before: Mapping[str, str], after: Mapping[str, str]) -> None:
    """Raise `NothingMovedError` where no digest changed."""
    if all(after[name] == digest for name, digest in before.items()):
        raise NothingMovedError(
            f"none of {len(before)} trained tensors moved; keep float32 master weights or raise the learning rate"
        )
