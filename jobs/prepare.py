"""`levo prepare`: a folder of recordings becomes a corpus of separated, tokenized, labelled songs."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

if TYPE_CHECKING:
    from jobs.progress import RunProgress
    from pipelines.corpus.backends import BackendChoices
    from pipelines.corpus.flow import CorpusModels, PreparedCorpus
    from pipelines.corpus.roots.named import Recordings
    from pipelines.flow.executor import Executor

_BATCH_SIZE = 16


@dataclass(frozen=True, slots=True)
class PrepareOptions:
    """Check, separate, tokenize and label recordings, and publish them as a snapshot.

    Run again, it does only what is new or changed. A recording that cannot be used is counted with its reason.
    """

    audio: str
    """Recordings (FLAC, WAV, MP3, Ogg, AIFF): a folder or s3://BUCKET/PREFIX, zip and tar archives in it included.

    A metadata.jsonl beside them names songs, stems, lyrics and tags; or give a manifest (.jsonl, .parquet) that does.
    """
    corpus: Path
    """Folder of the corpus; empty, or made from the same recordings."""
    models: Path = Path("out/demo/models")
    """The models folder of a finished `levo demo`."""
    workers: Annotated[int, tyro.conf.arg(aliases=["-j"])] = 2
    """Ray actors that work at once; 0 works in this process, without Ray."""
    listen: int = 8
    """Songs decoded again from their tokens into CORPUS/listen and CORPUS/report.html."""
    label: Literal["needed", "all"] = "needed"
    """Label what the metadata leave open, or all songs: so that labels can be held to what is known of them."""
    max_duration_s: float = 600.0
    """Longer recordings are refused."""
    separator: str = "embedded"
    """Or htdemucs:FILE, a published .th package or .yaml bag."""
    recogniser: str = "embedded"
    """Or whisper:FILE, an openai-whisper checkpoint."""
    second_recogniser: str | None = None
    """whisper:FILE: a second opinion; lines on which the two differ are left out of the lyrics and marked."""
    tagger: str = "embedded"
    """Or clap:FOLDER: zero-shot tags by LAION-CLAP in the Hugging Face format."""
    musicality: str = "embedded"
    """Or audiobox-ce:PATH (-cu, -pc, -pq), that axis of Audiobox Aesthetics; its quantiles are the tiers."""
    device: str = "cpu"
    """Where real models run, such as cuda."""
    gpus_per_model: float = 1.0
    """What a real model's worker reserves of a GPU."""
    stem_gate: bool = True
    """Refuse songs whose stems a real separator leaves unclean."""
    one_stage_at_a_time: bool = False
    """Finish each stage for all songs before the next: only one model is loaded at a time."""


def main(arguments: Sequence[str]) -> int:
    """Read the options, run the flow, show what became of the recordings."""
    options = tyro.cli(PrepareOptions, args=list(arguments), prog="levo prepare")
    _check(options)

    from jobs.corpus_tables import outcome_summary
    from jobs.progress import RunProgress
    from pipelines.corpus.backends import corpus_models
    from pipelines.corpus.flow import claim_corpus
    from pipelines.corpus.roots.named import recordings_of

    models = corpus_models(options.models, _choices(options))
    recordings = recordings_of(options.audio)
    claim_corpus(options.corpus, recordings)
    progress = RunProgress(num_steps=2)
    with _executor(options.workers) as executor:
        prepared = _prepare(options, recordings, models, executor, progress)
    files, page = _decode(options, models, progress)
    progress.console.print(outcome_summary(prepared.outcomes))
    print(f"{prepared.num_reused} recordings were done before; snapshot {prepared.snapshot.manifest.snapshot_id[:12]}")
    print(f"{len(files)} files to listen to in {options.corpus / 'listen'}, with their labels in {page}")
    print(f"levo corpus status --corpus {options.corpus}")
    return 0


def _choices(options: PrepareOptions) -> "BackendChoices":
    from pipelines.corpus.backends import BackendChoices

    return BackendChoices(**{name: getattr(options, name) for name in BackendChoices.__slots__})


def _check(options: PrepareOptions) -> None:
    is_bucket, is_manifest = options.audio.startswith("s3://"), options.audio.endswith((".jsonl", ".parquet"))
    if not is_bucket and not is_manifest and not Path(options.audio).is_dir():
        raise NotADirectoryError(f"--audio {options.audio} is no folder; expected one that holds recordings")
    if not is_bucket and is_manifest and not Path(options.audio).exists():
        raise FileNotFoundError(f"--audio {options.audio} does not exist; expected a manifest that names recordings")
    for name in ("workers", "listen"):
        if getattr(options, name) < 0:
            raise ValueError(f"--{name} is {getattr(options, name)}; expected 0 or more")
    if options.max_duration_s <= 0:
        raise ValueError(f"--max-duration-s is {options.max_duration_s}; expected more than 0")


@contextmanager
def _executor(num_workers: int) -> "Iterator[Executor]":
    if num_workers == 0:
        from pipelines.flow.executor import InProcessExecutor

        yield InProcessExecutor(_BATCH_SIZE)
        return
    from jobs.cluster import ray_cluster
    from pipelines.flow.ray_executor import RayExecutor

    with ray_cluster():
        yield RayExecutor(num_workers, _BATCH_SIZE)


def _prepare(
    options: PrepareOptions,
    recordings: "Recordings",
    models: "CorpusModels",
    executor: "Executor",
    progress: "RunProgress",
) -> "PreparedCorpus":
    from annotation.quality.stem_quality import StemGate
    from pipelines.corpus.decode import AudioLimits
    from pipelines.corpus.flow import CorpusConfig, prepare_corpus
    from pipelines.corpus.label import Ask

    limits = AudioLimits(max_duration_s=options.max_duration_s)
    ask = Ask.ALWAYS if options.label == "all" else Ask.WHERE_NEEDED
    has_real_separator = options.separator != "embedded"
    config = CorpusConfig(
        limits,
        transcribe_every_song=options.label == "all",
        structure=ask,
        tags=ask,
        stem_gate=StemGate() if options.stem_gate and has_real_separator else None,
        is_stagewise=options.one_stage_at_a_time,
    )
    with progress.step("recordings") as report:
        return prepare_corpus(
            recordings,
            options.corpus,
            models,
            config,
            executor,
            lambda state: report(state.num_done, state.num_items),
        )


def _decode(options: PrepareOptions, models: "CorpusModels", progress: "RunProgress") -> tuple[list[Path], Path]:
    from jobs.corpus_report import write_corpus_report
    from pipelines.corpus.listening import write_decoded
    from pipelines.corpus.snapshot import open_corpus

    corpus = open_corpus(options.corpus)
    with progress.step("decoded again") as report:
        codec = models.codec.open()
        files = write_decoded(corpus, corpus.songs[: options.listen], codec, report)
    return files, write_corpus_report(corpus, codec, options.listen)
