"""Songs as padded batches: end tokens placed, delays interleaved, logits brought back to the frames they predict."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from levo.model.conditions import ConditionTokens
from levo.model.config import LeLMConfig
from levo.model.delay import align_logits, interleave, place_end_of_song
from levo.model.lelm import LeLMOutput, Streams, Targets
from levo.song.tokens import Stream
from levo.training.examples import ExampleStore


@dataclass(frozen=True, slots=True, eq=False)
class SongBatch:
    """Codes with end tokens where songs ended, padded with the special code; and what the songs were asked for with.

    There may be several songs for each row of conditions: first one for all of them, then the next.
    """

    codes: Int[Tensor, "row stream frame"]
    conditions: ConditionTokens

    @property
    def num_sequences(self) -> int:
        """Rows that the model runs over: songs of the same conditions share one."""
        return self.conditions.num_rows

    def to(self, device: torch.device) -> "SongBatch":
        """The same on another device."""
        return SongBatch(self.codes.to(device), self.conditions.to(device))


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """Logits of the asked streams by the frame that they predict, and the positions that the model ran over."""

    logits: dict[Stream, Float[Tensor, "row frame class"]]
    num_positions: int


def padded_codes(store: ExampleStore, examples: Sequence[int], config: LeLMConfig) -> Int[Tensor, "row stream frame"]:
    """The songs' codes in one tensor, cut to what the longest of them needs."""
    songs = [store.codes(index) for index in examples]
    num_frames = torch.tensor([song.shape[1] for song in songs])
    padded = np.full((len(songs), len(config.delays), int(num_frames.max())), config.special_id, np.int64)
    for row, song in enumerate(songs):
        if song.min() < 0 or song.max() >= config.code_size:
            raise ValueError(
                f"example {examples[row]} of {store.folder} has codes {song.min()} to {song.max()}; "
                f"expected 0 to {config.code_size - 1}"
            )
        padded[row, :, : song.shape[1]] = song
    codes = place_end_of_song(torch.from_numpy(padded), num_frames, config.end_id, config.special_id).codes
    for row, index in enumerate(examples):
        if not store.ended[index]:
            codes[row, :, num_frames[row]] = config.special_id
    return codes


def num_tokens_of(store: ExampleStore, examples: Sequence[int]) -> int:
    """Tokens that one stream of these songs predicts, end tokens included."""
    return sum(int(store.num_frames[index]) + store.ended[index] for index in examples)


@dataclass(frozen=True, slots=True, eq=False)
class Losses:
    """Cross-entropies of the asked streams by frame (0 where there is no code) or their sums; see `Prediction`.

    `num_correct` counts the codes that were the likeliest; it is empty where nobody asked.
    """

    losses: dict[Stream, Float[Tensor, "*frames"]]
    num_correct: dict[Stream, Int[Tensor, ""]]
    num_positions: int


def predict(model: nn.Module, batch: SongBatch, streams: Sequence[Stream], config: LeLMConfig) -> Prediction:
    """Run the model over a batch, as far as the asked streams need it."""
    output = _run(model, batch, streams, config, None)
    num_frames = batch.codes.shape[-1]
    logits = {stream: align_logits(output.logits[stream], config.delays[stream], num_frames) for stream in streams}
    return Prediction(logits, output.language_states.shape[1])


def losses_of(
    model: nn.Module,
    batch: SongBatch,
    streams: Sequence[Stream],
    config: LeLMConfig,
    *,
    is_summed: bool = False,
    counts_correct: bool = False,
) -> Losses:
    """The same, held against the batch's own codes without all logits in memory."""
    output = _run(model, batch, streams, config, Targets(batch.codes, is_summed, counts_correct))
    num_correct = dict(zip(streams, output.num_correct, strict=True)) if counts_correct else {}
    return Losses(dict(zip(streams, output.losses, strict=True)), num_correct, output.language_states.shape[1])


def _run(
    model: nn.Module, batch: SongBatch, streams: Sequence[Stream], config: LeLMConfig, targets: Targets | None
) -> LeLMOutput:
    mixed_only = tuple(streams) == (Stream.MIXED,)
    needed = batch.codes.shape[-1] + (0 if mixed_only else config.max_delay)
    sequence = interleave(batch.codes, config.delays, config.special_id)[:, :, :needed]
    output: LeLMOutput = model(
        sequence,
        batch.conditions,
        streams=Streams.MIXED if mixed_only else Streams.ALL,
        freeze_language_model=Stream.MIXED not in streams,
        targets=targets,
        branches=len(batch.codes) // batch.num_sequences,
    )
    return output
