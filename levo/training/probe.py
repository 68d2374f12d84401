"""Fixed input to ask a model for its mixed logits, so that two models can be compared bit by bit."""

import torch
from torch import Tensor

from levo.model.conditions import ConditionTokens
from levo.model.lelm import LeLM, Streams
from levo.training.freezing import tensor_digest

_ROWS, _FRAMES, _SEED = 2, 24, 20250607


def mixed_logits_digest(model: LeLM) -> str:
    """SHA-256 of the mixed stream's logits on two seeded songs with all conditions given."""
    with torch.no_grad():
        logits = model(*_probe(model), streams=Streams.MIXED).logits[0]
    return tensor_digest(logits)


def _probe(model: LeLM) -> tuple[Tensor, ConditionTokens]:
    config, generator = model.config, torch.Generator().manual_seed(_SEED)

    def ids(*shape: int, below: int) -> Tensor:
        return torch.randint(below, shape, generator=generator)

    num_streams = len(config.delays)
    conditions = ConditionTokens(
        ids(_ROWS, config.max_lyrics_tokens, below=config.lyrics_vocabulary_size),
        ids(_ROWS, config.max_description_tokens, below=config.description_vocabulary_size),
        ids(_ROWS, num_streams, config.max_prompt_frames, below=config.code_size),
    )
    device = next(model.parameters()).device
    return ids(_ROWS, num_streams, _FRAMES, below=config.code_size).to(device), conditions.to(device)
