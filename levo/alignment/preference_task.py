"""DPO as a training task: pairs of songs, the policy's log-probabilities against the reference's on file."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64
from torch import Tensor, nn

from levo.alignment.dpo import PairLogProbabilities, per_token, preference_loss
from levo.alignment.pairs import PairStore
from levo.alignment.reference import SongLogProbability
from levo.alignment.song_probability import song_log_probabilities
from levo.model.conditions import concatenate_conditions
from levo.model.config import LeLMConfig
from levo.song.tokens import Stream
from levo.training.batches import SongBatch, num_tokens_of, padded_codes
from levo.training.encoded import EncodedConditions
from levo.training.loop import Share, Work
from levo.training.metrics import StepCost
from levo.training.order import BatchOrder, micro_batch_rows
from levo.training.phases import PhaseConfig

_MEASURES = (
    "loss",
    "preference_accuracy",
    "margin",
    "reward/chosen",
    "reward/rejected",
    "log_probability/chosen",
    "log_probability/rejected",
)


@dataclass(frozen=True, slots=True, eq=False)
class PairBatch:
    """The better songs, then the worse ones, under the same conditions; `num_tokens` counts all streams."""

    songs: SongBatch
    num_tokens: Float[Tensor, " row"]
    reference: Float[Tensor, " row"]
    num_batch_pairs: int


class PreferenceTask:
    """DPO over a store of pairs."""

    def __init__(
        self,
        phase: PhaseConfig,
        pairs: PairStore,
        conditions: EncodedConditions,
        reference: Mapping[str, SongLogProbability],
        config: LeLMConfig,
        cost: StepCost,
    ) -> None:
        """Train on `pairs`; `conditions` are those of its songs, `reference` knows all of them."""
        self._phase, self._pairs, self._conditions, self._config = phase, pairs, conditions, config
        self._cost = cost
        self._options = phase.preference
        songs = [reference[digest] for digest in pairs.songs.digests]
        self._reference = torch.tensor(
            [song.per_token if self._options.length_normalised else song.total for song in songs], dtype=torch.float64
        )
        self._order = BatchOrder(pairs.num_frames, phase.batch_rows, phase.seed, phase.bucket_batches)
        self.num_measures = len(_MEASURES) + 3

    def micro_batches(self, step: int, rank: int, world_size: int, device: torch.device) -> Iterator[PairBatch]:
        """This worker's part of the step's pairs."""
        pairs = self._order.batch(step)
        for part in micro_batch_rows(len(pairs), self._phase.micro_batches, rank, world_size):
            chosen, rejected = self._pairs.chosen[pairs[part]], self._pairs.rejected[pairs[part]]
            examples = [*chosen.tolist(), *rejected.tolist()]
            asked = self._conditions.rows(chosen)
            # Both songs of a pair stand behind one prefix where prefixes have one length.
            if not self._config.shares_prefixes:
                asked = concatenate_conditions([asked, asked])
            songs = SongBatch(padded_codes(self._pairs.songs, examples, self._config), asked)
            tokens = [len(Stream) * num_tokens_of(self._pairs.songs, [index]) for index in examples]
            yield PairBatch(
                songs.to(device),
                torch.tensor(tokens, dtype=torch.float32, device=device),
                self._reference[examples].float().to(device),
                len(pairs),
            )

    def share(self, model: nn.Module, batch: PairBatch) -> Share:
        """The micro-batch's part of the mean loss over the pairs."""
        found = song_log_probabilities(model, batch.songs, self._config, chunked=self._phase.chunked_loss)
        policy = found.by_stream.sum(dim=1)
        scored = per_token(policy, batch.num_tokens) if self._options.length_normalised else policy
        outcome = preference_loss(_split(scored), _split(batch.reference), self._options.beta)
        chosen, rejected = policy.detach().chunk(2)
        measured = [
            outcome.losses.detach(),
            outcome.correct,
            outcome.margins,
            outcome.chosen_rewards,
            outcome.rejected_rewards,
            chosen,
            rejected,
        ]
        operations = self._cost.operations(batch.songs.num_sequences, found.num_positions)
        counts = torch.tensor([len(chosen), float(batch.num_tokens.sum()), operations], device=policy.device)
        sums = torch.cat([torch.stack([values.double().sum() for values in measured]), counts.double()])
        return Share(outcome.losses.sum() / batch.num_batch_pairs, sums)

    def metrics(self, sums: Float64[Tensor, " measure"], num_steps: int) -> dict[str, float]:
        """Means over the interval's pairs."""
        del num_steps
        num_pairs = float(sums[len(_MEASURES)])
        return {name: float(sums[place]) / num_pairs for place, name in enumerate(_MEASURES)}

    def work(self, sums: Float64[Tensor, " measure"]) -> Work:
        """Tokens of both songs of the pairs, and operations."""
        return Work(float(sums[-2]), float(sums[-1]))


def _split(rows: Float[Tensor, " row"]) -> PairLogProbabilities:
    chosen, rejected = rows.chunk(2)
    return PairLogProbabilities(chosen, rejected)
