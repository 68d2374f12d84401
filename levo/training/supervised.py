"""Next-token training: the task of pre-training, extension, joint training and supervised fine-tuning."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor, nn

from levo.model.conditions import drop_conditions
from levo.model.config import LeLMConfig
from levo.training.batches import SongBatch, losses_of, num_tokens_of, padded_codes, predict
from levo.training.encoded import EncodedConditions
from levo.training.examples import ExampleStore
from levo.training.loop import Share, Work
from levo.training.losses import StreamSums, mean_of_streams, stream_sums
from levo.training.metrics import StepCost
from levo.training.order import BatchOrder, micro_batch_rows
from levo.training.phases import PhaseConfig

_PER_STREAM = 4


@dataclass(frozen=True, slots=True, eq=False)
class SupervisedBatch:
    """A micro-batch, and the tokens that each stream of the whole batch predicts.

    Token accuracy costs a pass through the heads where logits are not kept: it is counted at the steps that are logged.
    """

    songs: SongBatch
    num_batch_tokens: int
    counts_correct: bool


class SupervisedTask:
    """Cross-entropy of the stage's streams over a store of songs."""

    def __init__(
        self,
        phase: PhaseConfig,
        store: ExampleStore,
        conditions: EncodedConditions,
        config: LeLMConfig,
        cost: StepCost,
    ) -> None:
        """Train on `store`, whose conditions are encoded for the model of this config."""
        self._phase, self._store, self._conditions, self._config = phase, store, conditions, config
        self._cost = cost
        self._streams = phase.stage.streams
        self._order = BatchOrder(store.num_frames, phase.batch_rows, phase.seed, phase.bucket_batches)
        self.num_measures = _PER_STREAM * len(self._streams) + 1

    def micro_batches(self, step: int, rank: int, world_size: int, device: torch.device) -> Iterator[SupervisedBatch]:
        """This worker's part of the step's batch; the dropped conditions are drawn for the batch as a whole."""
        examples = self._order.batch(step)
        generator = torch.Generator().manual_seed(noise_seed(self._phase.seed, step))
        conditions = drop_conditions(self._conditions.rows(examples), self._phase.dropout, self._config, generator)
        num_tokens = num_tokens_of(self._store, examples.tolist())
        is_logged = (step + 1) % self._phase.log_every == 0 or step + 1 == self._phase.num_steps
        for part in micro_batch_rows(len(examples), self._phase.micro_batches, rank, world_size):
            codes = padded_codes(self._store, examples[part].tolist(), self._config)
            yield SupervisedBatch(SongBatch(codes, conditions.select(part)).to(device), num_tokens, is_logged)

    def share(self, model: nn.Module, batch: SupervisedBatch) -> Share:
        """The micro-batch's part of the mean over the streams' cross-entropies."""
        sums, num_positions = self._stream_sums(model, batch)
        loss = mean_of_streams(sums, [batch.num_batch_tokens] * len(sums))
        measured = [
            value.detach()
            for part in sums
            for value in (part.negative_log_likelihood, part.num_tokens, part.num_correct, part.num_counted)
        ]
        operations = self._cost.operations(len(batch.songs.codes), num_positions)
        return Share(loss, torch.stack([*measured, torch.tensor(operations, device=loss.device)]).double())

    def metrics(self, sums: Float64[Tensor, " measure"], num_steps: int) -> dict[str, float]:
        """Loss and token accuracy of each stream over the interval's tokens, and the streams' mean loss."""
        del num_steps
        values: dict[str, float] = {}
        for place, stream in enumerate(self._streams):
            loss, tokens, correct, counted = sums[_PER_STREAM * place : _PER_STREAM * (place + 1)].tolist()
            values[f"loss/{stream.name.lower()}"] = loss / tokens
            values[f"accuracy/{stream.name.lower()}"] = correct / counted
        losses = [value for name, value in values.items() if name.startswith("loss/")]
        return {"loss": sum(losses) / len(losses)} | values

    def work(self, sums: Float64[Tensor, " measure"]) -> Work:
        """Predicted tokens of all streams, and operations."""
        return Work(float(sums[1:-1:_PER_STREAM].sum()), float(sums[-1]))

    def _stream_sums(self, model: nn.Module, batch: SupervisedBatch) -> tuple[list[StreamSums], int]:
        songs, streams, special_id = batch.songs, self._streams, self._config.special_id
        if not self._phase.chunked_loss:
            prediction = predict(model, songs, streams, self._config)
            sums = [stream_sums(prediction.logits[one], songs.codes[:, one], special_id) for one in streams]
            return sums, prediction.num_positions
        found = losses_of(model, songs, streams, self._config, is_summed=True, counts_correct=batch.counts_correct)
        nothing = torch.zeros((), dtype=torch.int64, device=songs.codes.device)
        sums = []
        for stream in streams:
            num_tokens = (songs.codes[:, stream] != special_id).sum()
            counted = (found.num_correct[stream], num_tokens) if batch.counts_correct else (nothing, nothing)
            sums.append(StreamSums(found.losses[stream], num_tokens, *counted))
        return sums, found.num_positions


def noise_seed(seed: int, step: int) -> int:
    """The seed of a step's random draws: nothing but the phase's seed and the step's number goes into it."""
    return int(np.random.SeedSequence([seed, 2, step]).generate_state(1, np.uint64)[0] >> np.uint64(1))
