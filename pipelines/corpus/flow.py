"""The corpus flow: a folder of recordings becomes a Parquet snapshot of separated, tokenized, labelled songs."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from annotation.quality.stem_quality import StemGate
from annotation.recogniser.forced_alignment import LyricsAligner
from annotation.recogniser.protocol import Recogniser
from annotation.separation.protocol import Separator
from annotation.structure.protocol import StructureLabeller
from annotation.tags.protocol import Tagger
from levo.codec.protocol import Codec
from levo.song.digest import digest_json
from levo.song.files import write_bytes_atomically
from pipelines.corpus.check import AudioPlaces, CheckAudio, FindStems
from pipelines.corpus.decode import AudioLimits
from pipelines.corpus.draft import CorpusDraft
from pipelines.corpus.label import Ask, FindStructure, FindTags, JudgeMusicality
from pipelines.corpus.listing import Listing, list_songs
from pipelines.corpus.planning import CostMeter, Plan, RunCosts, plan_run
from pipelines.corpus.records import JudgedSong, SourceSong, stored_bytes
from pipelines.corpus.roots.named import Recordings, recordings_of
from pipelines.corpus.tally import Tally
from pipelines.corpus.tokenize import TokenizeSongs, Transcribe
from pipelines.flow.attempts import Attempts
from pipelines.flow.executor import Executor
from pipelines.flow.memory import Memory
from pipelines.flow.model_source import ModelSource
from pipelines.flow.objects import ObjectStore
from pipelines.flow.pipeline import Pipeline
from pipelines.flow.resources import ResourceMonitor
from pipelines.flow.run import Progress, ProgressCallback, run_in_parts
from pipelines.flow.run_folder import held_alone
from pipelines.flow.snapshot import Snapshot, SnapshotStore
from reward.musicality.protocol import MusicalityReward

OWNER_FILE = "corpus.json"
OBJECTS_FOLDER = "objects"
ATTEMPTS_FOLDER = "attempts"
_DRAFT_FOLDER = ".draft"
_FORMAT = 1
_MONITOR_EVERY_S = 10.0


class ForeignCorpusError(ValueError):
    """The folder holds the corpus of other recordings, or something else altogether."""


@dataclass(frozen=True)
class CorpusModels:
    """The models of the corpus's stages; embedded or production ones behind the same protocols."""

    separator: ModelSource[Separator]
    codec: ModelSource[Codec]
    separation_rate_hz: int | None
    """The rate at which the separator hears one channel; None lets it hear recordings as they are."""
    recogniser: ModelSource[Recogniser]
    labeller: ModelSource[StructureLabeller]
    tagger: ModelSource[Tagger]
    judge: ModelSource[MusicalityReward]
    second_recogniser: ModelSource[Recogniser] | None = None
    aligner: ModelSource[LyricsAligner] | None = None


@dataclass(frozen=True, slots=True)
class CorpusConfig:
    """What is accepted, and which songs the slower labellers hear."""

    limits: AudioLimits = field(default_factory=AudioLimits)
    transcribe_every_song: bool = False
    language: str = "en"
    """Of the lyrics that an aligner is given."""
    structure: Ask = Ask.WHERE_NEEDED
    tags: Ask = Ask.WHERE_NEEDED
    stem_gate: StemGate | None = None
    """What separated stems must be; None takes all."""
    is_stagewise: bool = False
    """Whether each stage ends for all songs before the next begins, so that one model is loaded at a time."""


@dataclass(frozen=True, slots=True)
class PreparedCorpus:
    """What a run of the flow gave: the published snapshot, its songs and refusals counted, how many were done before.

    `costs` are those of the songs that were not.
    """

    snapshot: Snapshot
    tally: Tally
    num_reused: int
    costs: RunCosts = field(compare=False)


def corpus_pipeline(
    recordings: Recordings, corpus: Path, models: CorpusModels, config: CorpusConfig
) -> Pipeline[SourceSong, JudgedSong]:
    """The stages in order: what is slow to make and rarely changes comes first."""
    places = AudioPlaces(recordings.root, corpus.resolve() / OBJECTS_FOLDER, config.limits)
    return Pipeline[SourceSong, JudgedSong](
        (
            CheckAudio(places),
            FindStems(places, models.separator, models.separation_rate_hz, config.stem_gate),
            TokenizeSongs(places, models.codec),
            Transcribe(
                places,
                models.recogniser,
                config.transcribe_every_song,
                models.second_recogniser,
                models.aligner,
                config.language,
            ),
            FindStructure(places, models.labeller, config.structure),
            FindTags(places, models.tagger, config.tags),
            JudgeMusicality(places, models.judge),
        )
    )


def plan_corpus(
    recordings: Recordings, corpus: Path, models: CorpusModels, config: CorpusConfig, executor: Executor
) -> Plan | None:
    """What `prepare_corpus` will take, after a trial on a few songs; None where too few are left to be done.

    Raises as `prepare_corpus`.
    """
    with _opened(recordings, corpus) as (listing, monitor):
        pipeline, attempts = corpus_pipeline(recordings, corpus, models, config), Attempts(corpus / ATTEMPTS_FOLDER)
        num_passes = len(pipeline.stages) if config.is_stagewise else 1
        return plan_run(pipeline, listing.songs, executor, corpus_memory(corpus), attempts, monitor, num_passes)


def prepare_corpus(
    recordings: Recordings,
    corpus: Path,
    models: CorpusModels,
    config: CorpusConfig,
    executor: Executor,
    progress: ProgressCallback | None = None,
) -> PreparedCorpus:
    """Bring a corpus up to date with its recordings and publish it; what is unchanged is not done again.

    Songs that kill their workers, or on which a stage raises, are refused and the others go on (`Executor.run`).
    Raises ForeignCorpusError where `corpus` holds something else, BusyFolderError where another process is at work.
    """
    with _opened(recordings, corpus) as (listing, monitor):
        whole = corpus_pipeline(recordings, corpus, models, config)
        attempts, memory = Attempts(corpus / ATTEMPTS_FOLDER), corpus_memory(corpus)
        passes = [whole.until(number) for number in range(1, len(whole.stages))] if config.is_stagewise else []
        passes.append(whole)
        meter, num_reused = CostMeter(monitor), len(listing.songs)
        digests = {name: source.digest for name, source in model_sources(models).items()}
        versions = {"flow": whole.chain[-1], **digests}
        key, store = digest_json([listing.digest, versions]), SnapshotStore(corpus)
        finished, current = memory.finished(key), store.current()
        if finished and current and current.manifest.snapshot_id == finished["snapshot"]:
            return PreparedCorpus(current, Tally.from_json(finished["tally"]), num_reused, meter.costs(whole, 0))
        with CorpusDraft(corpus / _DRAFT_FOLDER) as draft:
            for number, pipeline in enumerate(passes):
                report, num_of_pass = _of_passes(progress, number, len(passes)), 0
                for part in run_in_parts(
                    pipeline, listing.songs, executor, memory, report, attempts, weigh=stored_bytes
                ):
                    meter.add(part)
                    num_of_pass += part.num_reused
                    if pipeline is whole:
                        draft.add(part.outcomes)
                num_reused = min(num_reused, num_of_pass)
            published = draft.publish(store, listing.refusals, versions)
        memory.finish(key, {"snapshot": published.snapshot.manifest.snapshot_id, "tally": published.tally.as_json()})
        costs = meter.costs(whole, len(listing.songs) - num_reused)
        return PreparedCorpus(published.snapshot, published.tally, num_reused, costs)


@contextmanager
def _opened(recordings: Recordings, corpus: Path) -> Iterator[tuple[Listing, ResourceMonitor]]:
    """A corpus held alone: its recordings as they are now, and what watches the cost."""
    claim_corpus(corpus, recordings)
    (corpus / ATTEMPTS_FOLDER).mkdir(exist_ok=True)
    with held_alone(corpus / ATTEMPTS_FOLDER), ResourceMonitor(_MONITOR_EVERY_S) as monitor:
        yield list_songs(recordings, corpus, ObjectStore(corpus / OBJECTS_FOLDER)), monitor


def _of_passes(progress: ProgressCallback | None, number: int, num_passes: int) -> ProgressCallback | None:
    """Progress through one of several passes over the same songs."""
    if progress is None or num_passes == 1:
        return progress

    def report(state: Progress) -> None:
        all_items = state.num_items
        progress(
            Progress(number * all_items + state.num_done, num_passes * all_items, state.num_refused, state.num_reused)
        )

    return report


def corpus_memory(corpus: Path) -> Memory:
    """What the corpus's runs remember of each recording."""
    return Memory(corpus / "memory")


def model_sources(models: CorpusModels) -> Mapping[str, ModelSource[Codec]]:
    """The models by the name of their place."""
    return {name: value for name, value in vars(models).items() if isinstance(value, ModelSource)}


def claim_corpus(corpus: Path, recordings: Recordings) -> None:
    """Mark a folder as the corpus of these recordings; raises ForeignCorpusError where it is something else."""
    owner = {"format": _FORMAT, "recordings": str(recordings)}
    file = corpus / OWNER_FILE
    if file.exists():
        found = json.loads(file.read_text())
        if found != owner:
            raise ForeignCorpusError(
                f"{corpus} is the corpus of {found.get('recordings')} (format {found.get('format')}), "
                f"not of {owner['recordings']} (format {_FORMAT}); choose another folder"
            )
    elif corpus.exists() and any(corpus.iterdir()):
        raise ForeignCorpusError(f"{corpus} is not empty and has no {OWNER_FILE}; choose an empty folder")
    else:
        write_bytes_atomically(file, (json.dumps(owner) + "\n").encode())


def corpus_recordings(corpus: Path) -> Recordings:
    """The recordings that a corpus was made from."""
    return recordings_of(json.loads((corpus / OWNER_FILE).read_text())["recordings"])
