"""Song models of two layers, freshly initialised: enough to tell by their songs which of them sang."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, NoReturn

from levo.codec.stems import Stems
from levo.model.config import LeLMConfig, demo_config
from levo.model.construction import new_lelm
from levo.model.store import save_model
from levo.model.tokenizer import build_tokenizer
from levo.song.tokens import FRAME_RATE_HZ, TokenGrid

_CODE_SIZE = 64


class NoSound:
    """A codec for services that are asked for tokens alone."""

    digest: ClassVar[str] = "no-sound"
    sample_rate_hz: ClassVar[int] = 8000
    frame_rate_hz: ClassVar[int] = FRAME_RATE_HZ
    code_size: ClassVar[int] = _CODE_SIZE

    def encode(self, _stems: Stems) -> NoReturn:
        """There is none."""
        raise NotImplementedError("tokens alone")

    def encode_batch(self, _songs: Sequence[Stems]) -> NoReturn:
        """There is none."""
        raise NotImplementedError("tokens alone")

    def decode(self, _tokens: TokenGrid) -> NoReturn:
        """There is none."""
        raise NotImplementedError("tokens alone")

    def decode_batch(self, _songs: Sequence[TokenGrid]) -> NoReturn:
        """There is none."""
        raise NotImplementedError("tokens alone")

    def decode_mixed(self, _tokens: TokenGrid) -> NoReturn:
        """There is none."""
        raise NotImplementedError("tokens alone")


def small_models(folder: Path, num_models: int) -> list[Path]:
    """Write models of one config and different weights, each into a folder of its own."""
    tokenizer = folder / ".tokenizer"
    config = _small_config(demo_config(build_tokenizer(("sun", "moon", "rain"), tokenizer)))
    folders = [folder / f"model-{seed}" for seed in range(num_models)]
    for seed, one in enumerate(folders):
        save_model(new_lelm(config, seed), tokenizer, one)
    return [one.resolve() for one in folders]


def _small_config(config: LeLMConfig) -> LeLMConfig:
    return replace(
        config,
        width=32,
        num_heads=2,
        feed_forward_width=48,
        num_layers=2,
        num_decoder_layers=1,
        code_size=_CODE_SIZE,
        max_positions=192,
        max_decoder_positions=192,
        max_lyrics_tokens=16,
        max_description_tokens=8,
        max_prompt_frames=6,
    )
