"""Log-probabilities of pairs' songs under a model, kept on file: what ageing and alignment both read."""

from collections.abc import Mapping
from pathlib import Path

from levo.alignment.pairs import PairStore
from levo.alignment.reference import ReferenceStore, SongLogProbability
from levo.alignment.song_probability import fill_reference
from levo.model.store import load_model, model_digest
from levo.training.encoded import encoded_conditions
from levo.training.precision import Precision
from levo.training.workers import SingleWorker


def reference_store(cache: Path, precision: Precision) -> ReferenceStore:
    """The log-probabilities that trainings over the same cache read."""
    return ReferenceStore(cache / f"reference-{precision}")


def fill(
    model: Path, pairs: Path, cache: Path, precision: Precision, chunked: bool = False, device: str = "cpu"
) -> int:
    """Compute and file what is not on file yet; returns how many songs that were.

    `chunked` keeps a few frames' logits in memory at a time, as the training that reads the file does.
    Under an unchanged model nothing is computed twice, and with nothing to compute the model is not even loaded.
    """
    store = PairStore(pairs)
    reference = reference_store(cache, precision)
    if not reference.missing(model_digest(model), store.songs.digests):
        return 0
    loaded = load_model(model, device=device)
    conditions = encoded_conditions(store.songs, model, cache)
    workers = SingleWorker()
    return fill_reference(reference, loaded, store.songs, conditions, workers, precision=precision, chunked=chunked)


def on_file(model_digest: str, cache: Path, precision: Precision) -> Mapping[str, SongLogProbability]:
    """All that is filed under a model, by song."""
    return reference_store(cache, precision).read(model_digest)
