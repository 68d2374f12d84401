"""How probable a model finds whole songs, stream by stream, and the reference's answers kept on file."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from levo.alignment.reference import ReferenceStore, SongLogProbability
from levo.model.config import LeLMConfig
from levo.model.store import LoadedModel
from levo.song.tokens import Stream
from levo.training.batches import Prediction, SongBatch, num_tokens_of, padded_codes, predict
from levo.training.encoded import EncodedConditions
from levo.training.examples import ExampleStore
from levo.training.losses import sequence_log_probability
from levo.training.precision import Precision, in_precision
from levo.training.workers import Workers

_PART_SONGS = 512


def stream_log_probabilities(
    prediction: Prediction, batch: SongBatch, config: LeLMConfig
) -> Float[Tensor, "row stream"]:
    """log p(song | conditions) of each row, split over the streams; the sum over the streams is the song's own."""
    return torch.stack(
        [
            sequence_log_probability(prediction.logits[stream], batch.codes[:, stream], config.special_id)
            for stream in Stream
        ],
        dim=1,
    )


def compute_log_probabilities(
    model: nn.Module,
    config: LeLMConfig,
    store: ExampleStore,
    conditions: EncodedConditions,
    examples: Sequence[int],
    batch_rows: int,
) -> Iterator[SongLogProbability]:
    """Log-probabilities of the given examples, songs of like length together."""
    device = next(model.parameters()).device
    by_length = sorted(examples, key=lambda index: (store.num_frames[index], index))
    for start in range(0, len(by_length), batch_rows):
        rows = by_length[start : start + batch_rows]
        codes = padded_codes(store, rows, config)
        batch = SongBatch(codes, conditions.rows(np.asarray(rows))).to(device)
        with torch.no_grad():
            values = stream_log_probabilities(predict(model, batch, tuple(Stream), config), batch, config)
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
    batch_rows: int = 16,
) -> int:
    """Compute and file what is missing of `store` under the model; the number of songs this worker computed.

    A store holds one precision: that of the training that reads it.
    """
    model = in_precision(initial.model, precision, initial.model.device)
    missing = reference.missing(initial.digest, store.digests)[workers.rank :: workers.world_size]
    # Nobody files a song before all have seen the same ones missing, or the shares would not add up.
    workers.wait()
    place = {digest: index for index, digest in enumerate(store.digests)}
    for start in range(0, len(missing), _PART_SONGS):
        examples = [place[digest] for digest in missing[start : start + _PART_SONGS]]
        records = compute_log_probabilities(model, initial.model.config, store, conditions, examples, batch_rows)
        reference.add(initial.digest, list(records))
    return len(missing)
