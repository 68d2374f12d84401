"""Sampling speed: our engine against the twin of the published loop, on the same random weights.

The arms: `twin` draws one song in float32; `alone` and `alone_bf16` draw one song; `candidates` and `candidates_bf16`
draw 16 songs of one prompt. Prefix, guidance, penalty and top-k as released. Seconds are those of a whole call, its
prefix included.
"""

import json
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from jobs.benchmarks.arms import Measured, in_turn, measured, print_measured
from jobs.benchmarks.sampling_twin import SamplingTwin
from levo.model.conditions import Conditions
from levo.model.config import LeLMConfig, TextVocabulary, medium_config
from levo.model.construction import new_lelm
from levo.model.sampling.engine import SamplingEngine
from levo.model.sampling.length_class import LengthClass
from levo.model.sampling.request import RELEASED_PARAMETERS, SamplingParameters, SamplingRequest
from levo.model.store import LoadedModel
from levo.model.tokenizer import ConditionEncoder, build_tokenizer

TWIN, ALONE, ALONE_BF16, CANDIDATES, CANDIDATES_BF16 = "twin", "alone", "alone_bf16", "candidates", "candidates_bf16"
ARMS = (TWIN, ALONE, ALONE_BF16, CANDIDATES, CANDIDATES_BF16)
_WORDS = ("sun", "moon", "rain", "wind", "stone", "light", "female", "pop", "piano")
_SONG = Conditions("[verse] sun and moon. rain on stone", "female, pop, piano")


@dataclass(frozen=True, slots=True)
class SamplingSetting:
    """The sizes that all arms have; the prefix is the released one's of 952 positions."""

    width: int = 512
    num_heads: int = 8
    inner_width: int = 1536
    num_layers: int = 8
    num_decoder_layers: int = 4
    code_size: int = 16384
    max_delay: int = 250
    num_frames: int = 500
    num_candidates: int = 16
    repeats: int = 1

    @property
    def parameters(self) -> SamplingParameters:
        """As released, without an early end."""
        return replace(RELEASED_PARAMETERS, min_frames=self.num_frames + self.max_delay)

    def config(self, vocabulary: TextVocabulary) -> LeLMConfig:
        """The model's."""
        return replace(
            medium_config(),
            width=self.width,
            num_heads=self.num_heads,
            feed_forward_width=self.inner_width,
            num_layers=self.num_layers,
            num_decoder_layers=self.num_decoder_layers,
            code_size=self.code_size,
            delays=(0, self.max_delay, self.max_delay),
            max_positions=4096,
            max_decoder_positions=4096,
            lyrics_vocabulary_size=vocabulary.lyrics_size,
            description_vocabulary_size=vocabulary.description_size,
            text_padding_id=vocabulary.padding_id,
            text_start_id=vocabulary.start_id,
            first_structure_id=vocabulary.first_structure_id,
        )


@dataclass(frozen=True, slots=True)
class SamplingComparison:
    """What every arm took, by its name."""

    arms: dict[str, Measured]
    setting: SamplingSetting

    def speed_up(self, arm: str) -> float:
        """The twin's seconds a song over the arm's."""
        return self.arms[TWIN].median_s * self.songs_of(arm) / self.arms[arm].median_s

    def songs_of(self, arm: str) -> int:
        """How many songs an arm draws."""
        return self.setting.num_candidates if arm.startswith(CANDIDATES) else 1


def compare_sampling(setting: SamplingSetting, num_rounds: int = 2) -> SamplingComparison:
    """Run all arms by turns."""
    plain = {name: getattr(setting, name) for name in SamplingSetting.__dataclass_fields__}
    return SamplingComparison(in_turn("jobs.benchmarks.sampling", ARMS, plain, num_rounds), setting)


def twin_profile(setting: SamplingSetting, num_frames: int = 24, num_lines: int = 12) -> str:
    """Where the twin's time goes: its operations by their own time, over a few columns behind the prefix."""
    short = replace(setting, num_frames=num_frames, max_delay=0)
    act = prepared(TWIN, short)
    act()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        act()
    events = sorted(profile.key_averages(), key=lambda event: -event.self_cpu_time_total)
    total = sum(event.self_cpu_time_total for event in events)
    lines = ["| operation | share of time | calls |", "|---|---|---|"]
    lines += [
        f"| {event.key} | {event.self_cpu_time_total / total:.1%} | {event.count} |" for event in events[:num_lines]
    ]
    return "\n".join(lines)


def loaded_model(setting: SamplingSetting, folder: Path, dtype: torch.dtype) -> LoadedModel:
    """Random weights behind a tokenizer of a few words."""
    config = setting.config(build_tokenizer(_WORDS, folder / "tokenizer"))
    model = new_lelm(config, seed=0, table_std=0.1).to(dtype).eval()
    return LoadedModel(model, ConditionEncoder(folder / "tokenizer", config), "random")


def prepared(arm: str, setting: SamplingSetting) -> Callable[[], float]:
    """A call that draws an arm's songs and returns the sum of their mixed codes."""
    dtype = torch.bfloat16 if arm.endswith("bf16") else torch.float32
    with tempfile.TemporaryDirectory() as folder:
        loaded = loaded_model(setting, Path(folder), dtype)
        tokens = loaded.encoder.encode([_SONG, _SONG.null()])
    if arm == TWIN:
        twin = SamplingTwin(loaded.model)
        return lambda: float(twin.sample(tokens, setting.parameters, setting.num_frames, 1)[0].sum())
    num_songs = setting.num_candidates if arm.startswith(CANDIDATES) else 1
    length = LengthClass(
        num_rows=2 * num_songs,
        max_frames=setting.num_frames,
        max_prefix=loaded.model.config.prefix_length,
        prefill_rows=2,
        rows_per_prefix=num_songs,
    )
    engine = SamplingEngine(loaded, [length])
    requests = [
        SamplingRequest(f"song-{seed}", _SONG, seed, setting.num_frames, setting.parameters)
        for seed in range(1, num_songs + 1)
    ]
    return lambda: float(sum(int(song.tokens.codes[0].sum()) for song in engine.run(requests)))


if __name__ == "__main__":
    chosen = SamplingSetting(**json.loads(sys.argv[2]))
    print_measured(measured(lambda: prepared(sys.argv[1], chosen), chosen.repeats, num_warmups=0))
