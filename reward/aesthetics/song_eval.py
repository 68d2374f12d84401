"""SongEval's published head (arXiv 2505.10793): its weights by their own names, over MuQ's sixth hidden state."""

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from reward.aesthetics.attention_head import AestheticsHead, FeatureExtractor, HeadAesthetics, HeadConfig

_NAMES = {"ffd": "feed_forward", "attn": "attention", "fc": "scores"}


def load_song_eval(file: Path, extractor: FeatureExtractor, device: str = "cpu") -> HeadAesthetics:
    """Read the published `model.safetensors`; raises `ValueError` for anything else.

    Sizes are those of the weights. Of `extractor` SongEval expects MuQ-large-msd-iter's hidden state 6 of the whole
    song.
    """
    try:
        weights = load_file(file)
        config = HeadConfig(
            num_features=weights["ffd.0.weight"].shape[1],
            hidden_size=weights["ffd.0.weight"].shape[0],
            num_layers=sum(name.endswith(".in_proj_weight") for name in weights),
        )
        head = AestheticsHead(config)
        head.load_state_dict({_own_name(name): value.float() for name, value in weights.items()}, strict=True)
    except (OSError, SafetensorError, KeyError, RuntimeError, ValueError) as error:
        raise ValueError(f"{file} cannot be read as the weights of SongEval's head: {error}") from error
    return HeadAesthetics(head.to(torch.device(device)).eval(), extractor)


def _own_name(name: str) -> str:
    first, _, rest = name.partition(".")
    return f"{_NAMES[first]}.{rest}"
