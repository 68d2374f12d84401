"""MuQ and MuQ-MuLan in their published format, tiny and random, as folders beside each other."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from reward.muq import muq_model, muq_package
from tests.reward.word_tokenizer import write_word_tokenizer

MUQ, MULAN, ROBERTA = "MuQ-large-msd-iter", "MuQ-MuLan-large", "xlm-roberta-base"
WORDS = ("female", "male", "dark", "bright", "piano", "guitar", ",")


def muq_config() -> dict[str, Any]:
    """The published config's fields, with small sizes."""
    from transformers import Wav2Vec2ConformerConfig

    conformer = Wav2Vec2ConformerConfig(
        hidden_size=32,
        num_hidden_layers=7,
        num_attention_heads=4,
        intermediate_size=48,
        position_embeddings_type="rotary",
    )
    return {
        "label_rate": 25,
        "num_codebooks": 1,
        "codebook_dim": 16,
        "codebook_size": 64,
        "features": ["melspec_2048"],
        "hop_length": 240,
        "n_mels": 128,
        "conv_dim": 16,
        "encoder_dim": 32,
        "encoder_depth": 7,
        "stat": {"melspec_2048_cnt": 1, "melspec_2048_mean": 6.8, "melspec_2048_std": 18.4},
        "w2v2_config": json.loads(conformer.to_json_string(use_diff=False)),
        "use_rvq_target": True,
        "rvq_ckpt_path": "/somewhere/else/rvq.pt",
        "rvq_n_codebooks": 2,
    }


def write_muq(folder: Path) -> Path:
    """A MuQ folder."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(muq_config()))
    torch.manual_seed(0)
    save_file(muq_model(muq_config()).state_dict(), folder / "model.safetensors")
    return folder


def write_roberta(folder: Path) -> Path:
    """A text model's folder, without the weights, which MuLan's hold."""
    from transformers import XLMRobertaConfig

    XLMRobertaConfig(
        vocab_size=20,
        hidden_size=24,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=24,
        max_position_embeddings=40,
        pad_token_id=1,
    ).save_pretrained(folder)
    write_word_tokenizer(folder, WORDS)
    return folder


def write_mulan(place: Path) -> Path:
    """A MuQ-MuLan folder in `place`, by the package's own classes, with the two that its config names beside it."""
    write_muq(place / MUQ)
    write_roberta(place / ROBERTA)
    config = {
        "mulan": {"sr": 24000, "clip_secs": 10, "dim_latent": 12, "rank_contrast": True},
        "audio_model": {"name": f"OpenMuQ/{MUQ}", "model_dim": 32, "use_layer_idx": -1},
        "text_model": {"name": ROBERTA, "model_dim": 24},
        "audio_transformer": {"dim": 16, "tf_depth": 1, "heads": 2, "dim_head": 8},
        "text_transformer": {"dim": 16, "tf_depth": 1, "heads": 2, "dim_head": 8},
    }
    folder = place / MULAN
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    torch.save(own_mulan(folder, config).state_dict(), folder / "pytorch_model.bin")
    return folder


def own_mulan(folder: Path, config: dict[str, Any] | None = None) -> Any:
    """The package's model by its own constructor, which reads both towers' folders with weights of their own.

    Where no config is given, the folder's weights are loaded too.
    """
    from transformers import XLMRobertaConfig, XLMRobertaModel

    settings = json.loads((folder / "config.json").read_text()) if config is None else json.loads(json.dumps(config))
    text = folder.parent / "with weights" / ROBERTA
    torch.manual_seed(1)
    XLMRobertaModel(XLMRobertaConfig.from_pretrained(folder.parent / ROBERTA)).save_pretrained(text)
    write_roberta(text)
    settings["audio_model"]["name"] = str(folder.parent / MUQ)
    settings["text_model"]["name"] = str(text)
    model = muq_package("muq").MuQMuLan(settings)
    if config is None:
        model.load_state_dict(torch.load(folder / "pytorch_model.bin", weights_only=True))
    return model.eval()
