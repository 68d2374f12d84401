"""LAION-CLAP's original checkpoints (HTSAT and RoBERTa in one `.pt`) as the folder that `transformers` reads.

Sizes are inferred from the tensors, never assumed; a tensor that has no place is refused by its name.
"""

import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from levo.song.files import staged_folder

# What the network needs in training alone, or computes from the sound before the part that transformers has.
_UNUSED = re.compile(
    r"audio_branch\.(spectrogram_extractor|logmel_extractor|tscam_conv|head)\."
    r"|(audio|text)_transform\."
    r"|.*\.(attn_mask|relative_position_index|num_batches_tracked|position_ids|token_type_ids)$"
)
_RENAMED = (
    (r"^text_branch\.", "text_model."),
    (r"^(audio|text)_projection\.0\.", r"\1_projection.linear1."),
    (r"^(audio|text)_projection\.2\.", r"\1_projection.linear2."),
    (r"^audio_branch\.bn0\.", "audio_model.audio_encoder.batch_norm."),
    (r"^audio_branch\.", "audio_model.audio_encoder."),
    (r"(\.blocks\.\d+)\.norm1\.", r"\1.layernorm_before."),
    (r"(\.blocks\.\d+)\.norm2\.", r"\1.layernorm_after."),
    (r"(\.blocks\.\d+)\.mlp\.fc1\.", r"\1.intermediate.dense."),
    (r"(\.blocks\.\d+)\.mlp\.fc2\.", r"\1.output.dense."),
    (r"(\.blocks\.\d+)\.attn\.proj\.", r"\1.attention.output.dense."),
    (r"(\.blocks\.\d+)\.attn\.", r"\1.attention.self."),
)
_QKV = re.compile(r"^(.*\.attention\.self)\.qkv\.(weight|bias)$")
# RoBERTa's heads are not told by any tensor; all published sizes have them 64 wide.
_TEXT_HEAD_SIZE = 64
_SAMPLE_RATE_HZ, _WINDOW_S, _HOP_SAMPLES, _FFT_SAMPLES = 48_000, 10, 480, 1024
_LOWEST_HZ, _HIGHEST_HZ = 50, 14_000


def convert_clap(
    checkpoint: Path, tokenizer: Path, out: Path, *, spec_size: int = 256, text_head_size: int = _TEXT_HEAD_SIZE
) -> None:
    """Write `out`, which `ClapSimilarity.load` reads, from a `.pt` and the folder of RoBERTa's tokenizer.

    `spec_size` is the side of the square that HTSAT folds its spectrogram into. Raises `ValueError` for what is no
    such checkpoint, `FileExistsError` where `out` is there already.
    """
    from transformers import ClapFeatureExtractor, ClapModel

    original = _state(checkpoint)
    config = _config(original, checkpoint, spec_size, text_head_size)
    model = ClapModel(config)
    state = dict(_renamed(original))
    found = model.load_state_dict(state, strict=False)
    computed = re.compile(r".*\.(relative_position_index|position_ids|token_type_ids|num_batches_tracked)$")
    missing = sorted(name for name in found.missing_keys if not computed.match(name))
    if missing or found.unexpected_keys:
        unknown = sorted(found.unexpected_keys)[:5]
        raise ValueError(f"{checkpoint} lacks {missing[:5]} and has {unknown}; expected HTSAT, RoBERTa")

    extractor = ClapFeatureExtractor(
        feature_size=config.audio_config.num_mel_bins,
        sampling_rate=_SAMPLE_RATE_HZ,
        hop_length=_HOP_SAMPLES,
        fft_window_size=_FFT_SAMPLES,
        max_length_s=_WINDOW_S,
        frequency_min=_LOWEST_HZ,
        frequency_max=_HIGHEST_HZ,
        truncation="fusion" if config.audio_config.enable_fusion else "rand_trunc",
    )
    with staged_folder(out) as staging:
        for file in sorted(tokenizer.iterdir()):
            if file.is_file():
                shutil.copy(file, staging / file.name)
        model.save_pretrained(staging)
        extractor.save_pretrained(staging)


def _state(checkpoint: Path) -> dict[str, Tensor]:
    try:
        content = torch.load(checkpoint, map_location="cpu", weights_only=True)
    except Exception as error:  # the unpickler raises what it likes
        raise ValueError(f"{checkpoint} cannot be read as tensors alone: {error}") from error
    state = content.get("state_dict", content) if isinstance(content, dict) else None
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise ValueError(f"{checkpoint} holds no state_dict of tensors; expected a checkpoint of LAION-CLAP")
    return {name.removeprefix("module."): value for name, value in state.items()}


def _renamed(original: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    for name, value in original.items():
        if _UNUSED.match(name):
            continue
        for pattern, replacement in _RENAMED:
            name = re.sub(pattern, replacement, name)
        split = _QKV.match(name)
        if split:
            for part, rows in zip(("query", "key", "value"), value.chunk(3), strict=True):
                yield f"{split[1]}.{part}.{split[2]}", rows.clone()
        else:
            yield name, value


def _config(original: Mapping[str, Tensor], checkpoint: Path, spec_size: int, text_head_size: int) -> Any:
    from transformers import ClapConfig

    try:
        audio = _audio_sizes(original) | {"spec_size": spec_size}
        text = _text_sizes(original, text_head_size)
        projection = len(original["text_projection.2.weight"])
    except (KeyError, ValueError) as error:
        raise ValueError(f"{checkpoint} is no LAION-CLAP of HTSAT and RoBERTa: it lacks {error}") from None
    shared = {"projection_dim": projection, "projection_hidden_act": "relu"}
    return ClapConfig(audio_config=audio | shared, text_config=text | shared, **shared)


def _audio_sizes(original: Mapping[str, Tensor]) -> dict[str, Any]:
    blocks = re.compile(r"audio_branch\.layers\.(\d+)\.blocks\.(\d+)\.attn\.relative_position_bias_table$")
    tables = {(int(m[1]), int(m[2])): value for name, value in original.items() if (m := blocks.match(name))}
    layers = range(max(layer for layer, _ in tables) + 1)
    patches = original["audio_branch.patch_embed.proj.weight"]
    return {
        "patch_embeds_hidden_size": patches.shape[0],
        "patch_size": patches.shape[-1],
        "patch_stride": [patches.shape[-1]] * 2,
        "hidden_size": len(original["audio_branch.norm.weight"]),
        "depths": [sum(place == layer for place, _ in tables) for layer in layers],
        "num_attention_heads": [tables[layer, 0].shape[1] for layer in layers],
        "window_size": (round(len(tables[0, 0]) ** 0.5) + 1) // 2,
        "num_mel_bins": len(original["audio_branch.bn0.weight"]),
        "enable_fusion": "audio_branch.patch_embed.mel_conv2d.weight" in original,
    }


def _text_sizes(original: Mapping[str, Tensor], head_size: int) -> dict[str, Any]:
    words = original["text_branch.embeddings.word_embeddings.weight"]
    layers = {m[1] for name in original if (m := re.match(r"text_branch\.encoder\.layer\.(\d+)\.", name))}
    return {
        "vocab_size": words.shape[0],
        "hidden_size": words.shape[1],
        "num_hidden_layers": len(layers),
        "num_attention_heads": words.shape[1] // head_size,
        "intermediate_size": len(original["text_branch.encoder.layer.0.intermediate.dense.weight"]),
        "max_position_embeddings": len(original["text_branch.embeddings.position_embeddings.weight"]),
    }
