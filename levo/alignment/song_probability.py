"""How probable a model finds whole songs, stream by stream, and the reference's answers kept on file."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from levo.alignment.reference import ReferenceStore, SongLogProbability
from levo.model.config import LeLMConfig
from levo.model.store import LoadedModel
from levo.song.tokens import Stream
from levo.training.batches import SongBatch, losses_of, num_tokens_of, padded_codes, predict
from levo.training.encoded import EncodedConditions
from levo.training.examples import ExampleStore
from levo.training.losses import sequence_log_probability
from levo.training.precision import Precision, in_precision
from levo.training.workers import Workers

_PART_SONGS = 512
_SHARE_DIGITS = 8


@dataclass(frozen=True, slots=True, eq=False)
class SongLogProbabilities:
    """log p(song | conditions) of each row, split over the streams; the sum over the streams is the song's own.

    `num_positions` is what the model ran over.
    """

    by_stream: Float[Tensor, "row stream"]
    num_positions: int


def song_log_probabilities(
    model: nn.Module, batch: SongBatch, config: LeLMConfig, *, chunked: bool
) -> SongLogProbabilities:
    """How probable each song of a batch is; `chunked` keeps a few frames' logits in memory at a time."""
    streams = tuple(Stream)
    if chunked:
        found = losses_of(model, batch, streams, config)
        by_stream = [-found.losses[stream].sum(dim=1) for stream in streams]
        return SongLogProbabilities(torch.stack(by_stream, dim=1), found.num_positions)
    prediction = predict(model, batch, streams, config)
    by_stream = [
        sequence_log_probability(prediction.logits[stream], batch.codes[:, stream], config.special_id)
        for stream in streams
    ]
    return SongLogProbabilities(torch.stack(by_stream, dim=1), prediction.num_positions)


def compute_log_probabilities(
    model: nn.Module,
    config: LeLMConfig,
    store: ExampleStore,
    conditions: EncodedConditions,
    examples: Sequence[int],
    batch_rows: int,
    *,
    chunked: bool = False,
) -> Iterator[SongLogProbability]:
    """Log-probabilities of the given examples, songs of like length together."""
    device = next(model.parameters()).device
    by_length = sorted(examples, key=lambda index: (store.num_frames[index], index))
    for start in range(0, len(by_length), batch_rows):
        rows = by_length[start : start + batch_rows]
        codes = padded_codes(store, rows, config)
        batch = SongBatch(codes, conditions.rows(np.asarray(rows))).to(device)
        with torch.no_grad():
            values = song_log_probabilities(model, batch, config, chunked=chunked).by_stream
        for index, song in zip(rows, values.double().tolist(), strict=True):
            num_tokens = (num_tokens_of(store, [index]),) * len(Stream)
            yield SongLogProbability(store.digests[index], tuple(song), num_tokens)


def fill_reference(
    reference: ReferenceStore,
    initial: LoadedModel,
    store: ExampleStore,
    conditions: EncodedConditions,
    workers: Workers,
    *,
    precision: Precision = Precision.FLOAT32,
    chunked: bool = False,
    batch_rows: int = 16,
) -> int:
    """Compute and file what is missing of `store` under the model; the number of songs this worker computed.

    A store holds one precision: that of the training that reads it. A worker's share, and with it which songs are
    computed together, goes by the songs' digests: after a kill the rest comes out to the last digit as it would have.
    """
    model = in_precision(initial.model, precision, initial.model.device)
    missing = [
        digest
        for digest in reference.missing(initial.digest, store.digests)
        if int(digest[:_SHARE_DIGITS], 16) % workers.world_size == workers.rank
    ]
    # What another worker files meanwhile is in its own share: nothing is left out, and nothing done twice.
    place = {digest: index for index, digest in enumerate(store.digests)}
    for start in range(0, len(missing), _PART_SONGS):
        examples = [place[digest] for digest in missing[start : start + _PART_SONGS]]
        records = compute_log_probabilities(
            model, initial.model.config, store, conditions, examples, batch_rows, chunked=chunked
        )
        reference.add(initial.digest, list(records))
    return len(missing)
