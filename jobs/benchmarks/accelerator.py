"""How near a GPU's limits sampling and stage 1 come, at full size on random weights in bfloat16.

Sampling: the real-time factor of one song and of a batch of candidates, the bytes that a step must read, and the share
of the memory's measured speed that this comes to. Training: the share of the products' measured speed (model FLOPs
utilisation), over steps of the language model's tower.
"""

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

import torch
from torch import Tensor, nn

from jobs.benchmarks.sampling import SamplingSetting, loaded_model
from jobs.benchmarks.training import LanguageTower, TrainingSetting
from levo.model.conditions import Conditions
from levo.model.config import LeLMConfig
from levo.model.lelm import LeLM
from levo.model.sampling.engine import SamplingEngine
from levo.model.sampling.length_class import LengthClass
from levo.model.sampling.recorded import Capture
from levo.model.sampling.request import SamplingRequest
from levo.song.tokens import FRAME_RATE_HZ

LARGE = SamplingSetting(
    width=2048, num_heads=16, inner_width=11008, num_layers=36, num_decoder_layers=12, num_frames=6750
)
"""The released large model and its longest song."""
STAGE_1 = TrainingSetting(
    width=1536, num_heads=12, inner_width=8960, num_layers=28, num_rows=1, num_positions=4096, repeats=10
)
"""The released medium model's language model over 4,096 tokens."""
_SONG = Conditions("[verse] sun and moon. rain on stone", "female, pop, piano")
_TRIED_BYTES, _TRIED_WIDTH = 2**31, 8192


@dataclass(frozen=True, slots=True)
class SungAtOnce:
    """Songs that were drawn together: seconds of the whole call, and of a step's reading in bytes."""

    num_songs: int
    song_s: float
    seconds: float
    num_steps: int
    bytes_a_step: int

    @property
    def real_time_factor(self) -> float:
        """Seconds a song over the song's own."""
        return self.seconds / self.num_songs / self.song_s

    def bandwidth_share(self, bytes_per_s: float) -> float:
        """What is read in a second, over what a device can."""
        return self.bytes_a_step * self.num_steps / self.seconds / bytes_per_s


def sing(
    setting: SamplingSetting, num_songs: int, device: torch.device, dtype: torch.dtype, capture: Capture | None
) -> SungAtOnce:
    """Draw candidates of one prompt, guided, to the full length; a short call beforehand sets libraries up."""
    with tempfile.TemporaryDirectory() as folder, torch.device(device):
        loaded = loaded_model(setting, Path(folder), dtype)
    loaded.model.to(device)
    config = loaded.model.config
    length = LengthClass(
        num_rows=2 * num_songs,
        max_frames=setting.num_frames,
        max_prefix=config.prefix_length,
        prefill_rows=2,
        rows_per_prefix=num_songs,
    )
    engine = SamplingEngine(loaded, [length], capture)

    def call(num_frames: int) -> float:
        parameters = replace(setting.parameters, min_frames=num_frames + setting.max_delay)
        begun = time.perf_counter()
        engine.run([SamplingRequest(f"{seed}", _SONG, seed, num_frames, parameters) for seed in range(num_songs)])
        return time.perf_counter() - begun

    call(min(setting.num_frames, 3))
    seconds = call(setting.num_frames)
    num_steps = setting.num_frames + setting.max_delay
    read = bytes_a_step(loaded.model, config, num_songs, num_steps)
    return SungAtOnce(num_songs, setting.num_frames / FRAME_RATE_HZ, seconds, num_steps, read)


def bytes_a_step(model: LeLM, config: LeLMConfig, num_songs: int, num_steps: int) -> int:
    """What a step of guided candidates of one prompt must read: all weights that are multiplied, both prefixes once,
    and the rows' own songs, on average half of them."""
    tables = {
        id(parameter)
        for module in model.modules()
        if isinstance(module, nn.Embedding)
        for parameter in module.parameters()
    }
    weights = sum(one.nbytes for one in model.parameters() if id(one) not in tables)
    layers = config.num_layers + config.num_decoder_layers
    positions = 2 * config.prefix_length + 2 * num_songs * num_steps // 2
    return weights + 2 * layers * positions * config.width * model.dtype.itemsize


@dataclass(frozen=True, slots=True)
class Trained:
    """A step of stage 1: its seconds and what it must multiply."""

    seconds: float
    flops: int

    def utilisation(self, flops_per_s: float) -> float:
        """Products a second over what a device can."""
        return self.flops / self.seconds / flops_per_s


def train(setting: TrainingSetting, device: torch.device, *, compiles: bool) -> Trained:
    """Steps of the tower on random tokens, in bfloat16 over float32 weights, by AdamW."""
    with torch.device(device):
        model = LanguageTower(setting)
    if compiles:
        for layer in model.tower.layers:
            layer.compile(dynamic=False)
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
    tokens = torch.randint(setting.num_classes, (setting.num_rows, setting.num_positions), device=device)

    def step() -> None:
        with torch.autocast(device.type, torch.bfloat16):
            loss = model(tokens)
        torch.autograd.backward(loss)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)

    return Trained(_median_s(step, device, setting.repeats), training_flops(model, setting))


def training_flops(model: LanguageTower, setting: TrainingSetting) -> int:
    """6 for each weight that multiplies and each token, and 6 layers width positions^2 a row for causal attention.

    Forward 2, backward 4; of the scores and of the sums of values half lies ahead and counts for nothing
    (arXiv 2204.02311, appendix B, counts both halves).
    """
    weights = sum(one.numel() for name, one in model.named_parameters() if one.ndim == 2 and name != "embed.weight")
    attention = setting.num_layers * setting.width * setting.num_positions**2 * setting.num_rows
    return 6 * weights * setting.num_tokens + 6 * attention


def memory_speed(device: torch.device, num_bytes: int = _TRIED_BYTES) -> float:
    """Bytes a second that a device reads, by the sum of a tensor that no cache holds."""
    tensor = torch.ones(num_bytes // 2, dtype=torch.bfloat16, device=device)
    return num_bytes / _median_s(lambda: tensor.sum(), device, 5)


def product_speed(device: torch.device, width: int = _TRIED_WIDTH) -> float:
    """Operations a second of a large bfloat16 product."""
    left, right = (torch.randn(width, width, device=device).bfloat16() for _ in range(2))
    return 2 * width**3 / _median_s(lambda: left @ right, device, 5)


def _median_s(act: Callable[[], Tensor | None], device: torch.device, num_repeats: int) -> float:
    seconds = []
    for number in range(num_repeats + 2):
        begun = time.perf_counter()
        act()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        if number >= 2:
            seconds.append(time.perf_counter() - begun)
    return median(seconds)
