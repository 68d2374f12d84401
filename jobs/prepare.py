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
    from pipelines.corpus.flow import CorpusConfig, CorpusModels
    from pipelines.corpus.roots.named import Recordings
    from pipelines.flow.executor import Executor


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
    batch: int = 16
    """Songs that a worker has at once: what a killed worker does again, and what a real model hears together."""
    plan: bool = False
    """Only tell what the run would take, by a trial on a few songs."""
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
    aligner: str | None = None
    """pocketsphinx:LANGUAGE, or wav2vec2:FOLDER (Hugging Face format): when the lyrics of the metadata are sung."""
    language: str = "en"
    """Of the lyrics that are aligned."""
    labeller: str = "embedded"
    """Or all-in-one:FOLDER: structure by All-In-One's .pth files, with a package or bag of HTDemucs beside them."""
    tagger: str = "embedded"
    """Or clap:FOLDER (LAION-CLAP in the Hugging Face format), muq-mulan:FOLDER: zero-shot tags."""
    musicality: str = "embedded"
    """Or an axis: audiobox-ce:PATH (-cu, -pc, -pq) of Audiobox Aesthetics, song-eval-mus:PATH (-coh, -mem, -cla, -nat)
    of SongEval; or reward:FOLDER, one's own (`levo train reward`). Its quantiles are the tiers."""
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

    from jobs.corpus_tables import outcome_summary, plan_table
    from jobs.progress import RunProgress
    from pipelines.corpus.backends import corpus_models
    from pipelines.corpus.flow import claim_corpus, plan_corpus, prepare_corpus

    recordings = _recordings(options.audio)
    models = corpus_models(options.models, _choices(options))
    claim_corpus(options.corpus, recordings)
    config = _config(options)
    progress = RunProgress(num_steps=1 if options.plan else 3)
    with _executor(options.workers, options.batch) as executor:
        with progress.step("plan"):
            plan = plan_corpus(recordings, options.corpus, models, config, executor)
        progress.console.print(plan_table(plan) if plan else "too few songs are left to be planned")
        if options.plan:
            return 0
        with progress.step("recordings") as report:
            prepared = prepare_corpus(
                recordings,
                options.corpus,
                models,
                config,
                executor,
                lambda state: report(state.num_done, state.num_items),
            )
    files, page = _decode(options, models, progress)
    progress.console.print(outcome_summary(prepared.tally))
    if plan:
        progress.console.print(plan_table(plan, prepared.costs))
    print(f"{prepared.num_reused} recordings were done before; snapshot {prepared.snapshot.manifest.snapshot_id[:12]}")
    print(f"{len(files)} files to listen to in {options.corpus / 'listen'}, with their labels in {page}")
    print(f"levo corpus status --corpus {options.corpus}")
    return 0


def _recordings(audio: str) -> "Recordings":
    """What --audio names, if it is there; a bucket is asked when it is listed."""
    from pipelines.corpus.roots.folder import FolderRoot
    from pipelines.corpus.roots.named import recordings_of

    recordings = recordings_of(audio)
    if isinstance(recordings.root, FolderRoot):
        folder, manifest = recordings.root.folder, recordings.manifest
        if manifest is None and not folder.is_dir():
            raise NotADirectoryError(f"--audio {audio} is no folder; expected one that holds recordings")
        if manifest is not None and not (folder / manifest).exists():
            raise FileNotFoundError(f"--audio {audio} does not exist; expected a manifest that names recordings")
    return recordings


def _choices(options: PrepareOptions) -> "BackendChoices":
    from pipelines.corpus.backends import BackendChoices

    return BackendChoices(**{name: getattr(options, name) for name in BackendChoices.__slots__})


def _check(options: PrepareOptions) -> None:
    for name in ("workers", "listen"):
        if getattr(options, name) < 0:
            raise ValueError(f"--{name} is {getattr(options, name)}; expected 0 or more")
    if options.batch < 1:
        raise ValueError(f"--batch is {options.batch}; expected 1 or more")
    if options.max_duration_s <= 0:
        raise ValueError(f"--max-duration-s is {options.max_duration_s}; expected more than 0")


@contextmanager
def _executor(num_workers: int, batch_size: int) -> "Iterator[Executor]":
    if num_workers == 0:
        from pipelines.flow.executor import InProcessExecutor

        yield InProcessExecutor(batch_size)
        return
    from jobs.cluster import ray_cluster
    from pipelines.flow.ray_executor import RayExecutor

    with ray_cluster():
        yield RayExecutor(num_workers, batch_size)


def _config(options: PrepareOptions) -> "CorpusConfig":
    from annotation.quality.stem_quality import StemGate
    from pipelines.corpus.decode import AudioLimits
    from pipelines.corpus.flow import CorpusConfig
    from pipelines.corpus.label import Ask

    limits = AudioLimits(max_duration_s=options.max_duration_s)
    ask = Ask.ALWAYS if options.label == "all" else Ask.WHERE_NEEDED
    has_real_separator = options.separator != "embedded"
    return CorpusConfig(
        limits,
        transcribe_every_song=options.label == "all",
        language=options.language,
        structure=ask,
        tags=ask,
        stem_gate=StemGate() if options.stem_gate and has_real_separator else None,
        is_stagewise=options.one_stage_at_a_time,
    )


def _decode(options: PrepareOptions, models: "CorpusModels", progress: "RunProgress") -> tuple[list[Path], Path]:
    from jobs.corpus_report import write_corpus_report
    from pipelines.corpus.listening import write_decoded
    from pipelines.corpus.snapshot import open_corpus

    corpus = open_corpus(options.corpus)
    with progress.step("decoded again") as report:
        codec = models.codec.open()
        files = write_decoded(corpus, corpus.first_songs(options.listen), codec, report)
    return files, write_corpus_report(corpus, codec, options.listen)
