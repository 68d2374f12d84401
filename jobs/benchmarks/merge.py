"""The merger of three models: the peak of its memory against a model's size, and its sums against float64."""

import json
import sys
import tempfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

from jobs.benchmarks.arms import Measured, measured, print_measured, run_arm
from levo.alignment.interpolation import WeightedModel, merge_models
from levo.model.config import TextVocabulary, demo_config
from levo.model.lelm import LeLM
from levo.model.store import WEIGHTS_FILE, save_model

_VOCABULARY = TextVocabulary(
    lyrics_size=6000, description_size=6000, padding_id=5900, start_id=5901, first_structure_id=5950
)

_STRIDE = 1e-3


@dataclass(frozen=True, slots=True)
class MergeSetting:
    """The models' size, and the coefficients of the three."""

    width: int = 1024
    num_layers: int = 12
    num_decoder_layers: int = 4
    code_size: int = 16384
    coefficients: tuple[float, float, float] = (0.8, 0.4, 0.8)
    repeats: int = 1


@dataclass(frozen=True, slots=True)
class MergeComparison:
    """What was measured."""

    measured: Measured
    model_bytes: int

    @property
    def memory_ratio(self) -> float:
        """The peak over one model's size."""
        return self.measured.peak_bytes / self.model_bytes

    @property
    def largest_difference(self) -> float:
        """The furthest that any weight is from the float64 sum."""
        return self.measured.value


def compare_merge(setting: MergeSetting) -> MergeComparison:
    """Write a base and three models, merge them in a process of its own, and hold every weight against float64."""
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder) / "base"
        _write(Path(folder), setting)
        size = (base / WEIGHTS_FILE).stat().st_size
        found = run_arm("jobs.benchmarks.merge", folder, asdict(setting))
        return MergeComparison(replace(found, value=_largest_difference(Path(folder), setting)), size)


def _write(folder: Path, setting: MergeSetting) -> None:
    """A base, and models that went a little way from it, as preference training leaves them."""
    config = replace(
        demo_config(_VOCABULARY),
        width=setting.width,
        num_heads=setting.width // 64,
        feed_forward_width=3 * setting.width,
        num_layers=setting.num_layers,
        num_decoder_layers=setting.num_decoder_layers,
        code_size=setting.code_size,
    )
    torch.manual_seed(0)
    tokenizer = folder / "tokenizer"
    tokenizer.mkdir()
    (tokenizer / "vocab.json").write_text("{}")
    model = LeLM(config)
    save_model(model, tokenizer, folder / "base")
    for name in ("lyric", "prompt", "musicality"):
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn_like(parameter), alpha=_STRIDE)
        save_model(model, tokenizer, folder / name)


def _parts(folder: Path, setting: MergeSetting) -> list[WeightedModel]:
    names = ("lyric", "prompt", "musicality")
    return [WeightedModel(folder / name, value) for name, value in zip(names, setting.coefficients, strict=True)]


def _largest_difference(folder: Path, setting: MergeSetting) -> float:
    parts = [*_parts(folder, setting), WeightedModel(folder / "base", 1 - sum(setting.coefficients))]
    files: list[Any] = [safe_open(part.folder / WEIGHTS_FILE, framework="pt") for part in parts]
    mixed: Any = safe_open(folder / "merged" / WEIGHTS_FILE, framework="pt")
    largest = 0.0
    for name in list(mixed.keys()):
        total = sum(part.coefficient * file.get_tensor(name).double() for part, file in zip(parts, files, strict=True))
        largest = max(largest, float((mixed.get_tensor(name).double() - total).abs().max()))
    return largest


if __name__ == "__main__":
    place, plain = Path(sys.argv[1]), json.loads(sys.argv[2])
    chosen = MergeSetting(**{**plain, "coefficients": tuple(plain["coefficients"])})

    def merge() -> float:
        """The merger itself; there is nothing to compare before its file is read again."""
        merge_models(_parts(place, chosen), place / "merged", base=place / "base")
        return 0.0

    print_measured(measured(lambda: merge, chosen.repeats, num_warmups=0))
