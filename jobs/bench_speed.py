"""The tables of the speed benchmarks: what was measured, against what is aimed at."""

import datetime
import json
from collections.abc import Callable
from dataclasses import dataclass

import torch

from jobs.benchmarks.accelerator import LARGE, STAGE_1, memory_speed, product_speed, sing, train
from jobs.benchmarks.arms import machine
from jobs.benchmarks.dpo import OURS, OURS_STORED, TRL, TRL_STORED, PreferenceSetting, compare_preference
from jobs.benchmarks.merge import MergeSetting, compare_merge
from jobs.benchmarks.sampling import (
    ALONE,
    ALONE_BF16,
    CANDIDATES,
    CANDIDATES_BF16,
    SamplingSetting,
    compare_sampling,
    twin_profile,
)
from jobs.benchmarks.training import OURS as OURS_32
from jobs.benchmarks.training import OURS_BF16 as OURS_16
from jobs.benchmarks.training import OURS_JEMALLOC, TRANSFORMERS_JEMALLOC, TrainingSetting, compare_training
from jobs.benchmarks.training import OURS_RECOMPUTED as RECOMPUTED
from jobs.benchmarks.training import TRANSFORMERS as LLAMA_32
from jobs.benchmarks.training import TRANSFORMERS_BF16 as LLAMA_16
from levo.model.sampling.recorded import cuda_capture
from levo.song.tokens import FRAME_RATE_HZ


@dataclass(frozen=True, slots=True)
class Figure:
    """One ratio: its name, its value, and what it should be."""

    what: str
    value: float
    goal: str


@dataclass(frozen=True, slots=True)
class Found:
    """A benchmark's figures, and what is to be shown below them."""

    figures: tuple[Figure, ...]
    note: str = ""


def bench_speed(name: str, *, as_json: bool) -> str:
    """Run one of the speed benchmarks; its table, or the same as JSON."""
    found = BENCHMARKS[name]()
    taken = {"benchmark": name, "machine": machine(), "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d")}
    if as_json:
        figures = {one.what: {"value": one.value, "goal": one.goal} for one in found.figures}
        return json.dumps(taken | {"figures": figures})
    lines = [f"{name}, {taken['machine']}, {taken['date']}", "", "| what | measured | goal |", "|---|---|---|"]
    lines += [f"| {one.what} | {one.value:.4g} | {one.goal} |" for one in found.figures]
    return "\n".join([*lines, *(["", found.note] if found.note else [])])


def _training() -> Found:
    found = compare_training(TrainingSetting(), num_rounds=3)
    compared = (
        ("float32", OURS_32, LLAMA_32, True),
        ("recomputed", RECOMPUTED, LLAMA_32, False),
        ("bf16", OURS_16, LLAMA_16, False),
        ("float32, both by jemalloc", OURS_JEMALLOC, TRANSFORMERS_JEMALLOC, False),
    )
    figures = [
        figure
        for name, ours, theirs, is_aimed_at in compared
        for figure in (
            Figure(
                f"{name}: tokens a second, over transformers' Llama",
                found.speed_ratio(ours, theirs),
                ">= 1.2" if is_aimed_at else "",
            ),
            Figure(
                f"{name}: peak memory, over transformers' Llama",
                found.memory_ratio(ours, theirs),
                "<= 0.6" if is_aimed_at else "",
            ),
        )
    ]
    figures += [
        Figure("difference of the losses after equal steps", found.loss_difference, "<= 1e-3"),
        *(Figure(f"{arm}: tokens a second", found.num_tokens / one.median_s, "") for arm, one in found.arms.items()),
        *(Figure(f"{arm}: peak memory (GB)", one.peak_bytes / 1e9, "") for arm, one in found.arms.items()),
    ]
    return Found(tuple(figures))


def _merge() -> Found:
    found = compare_merge(MergeSetting())
    figures = [
        Figure("peak memory, over one model", found.memory_ratio, "<= 1.2"),
        Figure("largest difference from float64 arithmetic", found.largest_difference, "<= 3e-7"),
        Figure("size of one model (GB)", found.model_bytes / 1e9, ""),
        Figure("seconds", found.measured.median_s, ""),
    ]
    return Found(tuple(figures))


def _preference() -> Found:
    found = compare_preference(PreferenceSetting())
    figures = [
        Figure("processor s a step over TRL's, reference on file", found.ratio(OURS_STORED, TRL_STORED), "<= 0.75"),
        Figure("processor s a step over TRL's, reference run too", found.ratio(OURS, TRL), "<= 1.0"),
        Figure("difference of the losses after 4 steps, songs of 8 codes", found.short_loss_difference, "<= 1e-6"),
        Figure("difference of the losses after 4 steps, songs of 256 codes", found.loss_difference, "float32 sums"),
        *(Figure(f"{arm}: processor seconds a step", one.median_s, "") for arm, one in found.arms.items()),
    ]
    return Found(tuple(figures))


def _sampling() -> Found:
    setting = SamplingSetting()
    found = compare_sampling(setting)
    song_s = setting.num_frames / FRAME_RATE_HZ
    one_s = {arm: one.median_s / found.songs_of(arm) for arm, one in found.arms.items()}
    figures = [
        Figure("alone, float32: the twin's time over ours", found.speed_up(ALONE), ">= 1.3"),
        Figure("alone, bf16 weights: the twin's time (float32) over ours", found.speed_up(ALONE_BF16), ">= 2"),
        Figure("16 candidates, float32: the twin's one by one over ours", found.speed_up(CANDIDATES), ">= 8"),
        Figure("16 candidates, bf16 weights: the twin's one by one over ours", found.speed_up(CANDIDATES_BF16), ">= 8"),
        *(Figure(f"{arm}: seconds a song of {song_s:g} s", seconds, "") for arm, seconds in one_s.items()),
        *(Figure(f"{arm}: peak memory (GB)", one.peak_bytes / 1e9, "") for arm, one in found.arms.items()),
    ]
    return Found(tuple(figures), f"The twin's operations:\n\n{twin_profile(setting)}")


def _accelerator() -> Found:
    if not torch.cuda.is_available():
        raise ValueError("levo bench gpu: this machine has no CUDA device; sampling, training, dpo and merge need none")
    device = torch.device("cuda")
    memory, products = memory_speed(device), product_speed(device)
    figures = []
    for num_songs, goal in ((1, "<= 0.11"), (20, "<= 0.035")):
        sung = sing(LARGE, num_songs, device, torch.bfloat16, cuda_capture())
        name = f"{num_songs} songs of {sung.song_s:g} s at once" if num_songs > 1 else f"one song of {sung.song_s:g} s"
        figures += [
            Figure(f"{name}: real-time factor a song", sung.real_time_factor, goal),
            Figure(f"{name}: bytes a step (GB)", sung.bytes_a_step / 1e9, ""),
            Figure(f"{name}: share of the memory's speed", sung.bandwidth_share(memory), ""),
        ]
    for compiles in (False, True):
        trained = train(STAGE_1, device, compiles=compiles)
        name = "stage 1, layers compiled" if compiles else "stage 1"
        figures += [
            Figure(f"{name}: tokens a second", STAGE_1.num_tokens / trained.seconds, ""),
            Figure(f"{name}: model FLOPs utilisation", trained.utilisation(products), ">= 0.45"),
        ]
    figures += [
        Figure("the memory's speed, measured (TB/s)", memory / 1e12, ""),
        Figure("the products' speed in bfloat16, measured (TFLOP/s)", products / 1e12, ""),
    ]
    note = f"{torch.cuda.get_device_name(device)}; FLOPs a step: 6 weights tokens + 6 layers width positions^2 rows."
    return Found(tuple(figures), note)


BENCHMARKS: dict[str, Callable[[], Found]] = {
    "sampling": _sampling,
    "training": _training,
    "dpo": _preference,
    "merge": _merge,
    "gpu": _accelerator,
}
