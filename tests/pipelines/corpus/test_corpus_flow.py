"""The corpus flow over a folder of good and bad recordings, with small fakes in place of the models."""

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import soundfile

from annotation.recogniser.forced_alignment import AlignedLine, AlignedWord
from annotation.recogniser.protocol import Transcript
from annotation.tags.protocol import NO_TAGS, TagEstimate, Tags
from levo.codec.stems import Stems
from levo.song.files import DiskError
from levo.song.scores import Score, missing_score
from levo.song.structure import StructureTag
from levo.song.timing import TimedPhoneme, TimedSection, TimedWord
from levo.song.tokens import TokenGrid
from levo.song.waveform import Waveform
from pipelines.corpus.decode import AudioLimits
from pipelines.corpus.flow import (
    CorpusConfig,
    CorpusModels,
    ForeignCorpusError,
    PreparedCorpus,
    plan_corpus,
    prepare_corpus,
)
from pipelines.corpus.heard_lyrics import timed_words
from pipelines.corpus.label import Ask
from pipelines.corpus.planning import Plan
from pipelines.corpus.records import LabelSource, PreparedSong
from pipelines.corpus.roots.named import recordings_of
from pipelines.corpus.snapshot import open_corpus
from pipelines.flow.executor import Executor, InProcessExecutor
from pipelines.flow.model_source import ChangedModelError, ModelSource
from pipelines.flow.run import Progress, ProgressCallback
from pipelines.flow.stage import Refusal

RATE = 16000


@dataclass(frozen=True)
class Fake:
    """Writes down what it was asked, so that tests can see what was done again."""

    digest: str
    calls: Path

    def note(self, waveform: Waveform) -> None:
        with self.calls.open("a") as file:
            file.write(f"{type(self).__name__} {loudness(waveform):.3f}\n")


def loudness(waveform: Waveform) -> float:
    return float(np.abs(waveform.samples).max())


class FakeSeparator(Fake):
    def separate(self, mixture: Waveform) -> Stems:
        self.note(mixture)
        vocal = Waveform(np.float32(0.25) * mixture.samples, mixture.sample_rate_hz)
        return Stems(vocal, Waveform(mixture.samples - vocal.samples, mixture.sample_rate_hz), mixture)


class FakeCodec(Fake):
    sample_rate_hz = RATE
    frame_rate_hz = 25
    code_size = 512

    def encode(self, stems: Stems) -> TokenGrid:
        self.note(stems.mixture)
        num_frames = -(-stems.mixture.num_samples * 25 // stems.mixture.sample_rate_hz)
        levels = [round(511 * loudness(stem)) for stem in (stems.mixture, stems.vocal, stems.accompaniment)]
        return TokenGrid(np.repeat(np.array(levels, np.int32)[:, None], num_frames, axis=1))

    def encode_batch(self, songs: Sequence[Stems]) -> list[TokenGrid]:
        return [self.encode(song) for song in songs]

    def decode(self, tokens: TokenGrid) -> Stems:
        levels = np.repeat(tokens.codes.astype(np.float32) / 511, RATE // 25, axis=1)
        mixture, vocal, accompaniment = (Waveform(level[None], RATE) for level in levels)
        return Stems(vocal, accompaniment, mixture)

    def decode_batch(self, songs: Sequence[TokenGrid]) -> list[Stems]:
        return [self.decode(song) for song in songs]

    def decode_mixed(self, tokens: TokenGrid) -> Waveform:
        return self.decode(tokens).mixture


class FakeRecogniser(Fake):
    def transcribe(self, songs: Sequence[Waveform]) -> list[Transcript]:
        return [self._transcribe(song) for song in songs]

    def _transcribe(self, song: Waveform) -> Transcript:
        self.note(song)
        phonemes = (TimedPhoneme("m", 0.1, 0.2), TimedPhoneme("u", 0.2, 0.5))
        return Transcript(phonemes=phonemes, words=(TimedWord("moo", 0.1, 0.5),), confidence=0.5)


class FakeAligner(Fake):
    def align(self, vocal: Waveform, lines: Sequence[Sequence[str]]) -> tuple[AlignedLine, ...]:
        self.note(vocal)
        if loudness(vocal) > 0.2:
            raise ValueError("too loud to be followed")
        words = [AlignedWord(word, 0.5 * place, 0.5 * place + 0.5, None) for place, word in enumerate(lines[0])]
        return (AlignedLine(tuple(words), 0.0, 0.5 * len(words)),)


class FakeLabeller(Fake):
    def label(self, mixture: Waveform, vocal: Waveform | None) -> tuple[TimedSection, ...]:
        self.note(mixture)
        return (
            TimedSection(StructureTag.CHORUS, 0.0, 1.0),
            TimedSection(StructureTag.OUTRO_SHORT, 1.0, mixture.duration_s),
        )


class FakeTagger(Fake):
    def tag(self, stems: Stems) -> Tags:
        self.note(stems.mixture)
        return replace(NO_TAGS, voice=TagEstimate("female", 0.9), tempo_bpm=125.0)


class FakeJudge(Fake):
    def score(self, songs: Sequence[Waveform]) -> list[Score]:
        for song in songs:
            self.note(song)
        return [Score(loudness(song)) if loudness(song) > 0.2 else missing_score("too quiet") for song in songs]


def models(calls: Path, **changed: str) -> CorpusModels:
    names = ("separator", "codec", "recogniser", "labeller", "tagger", "judge")
    digest = {name: changed.get(name, name) for name in names}
    return CorpusModels(
        separator=ModelSource(digest["separator"], partial(FakeSeparator, digest["separator"], calls)),
        codec=ModelSource(digest["codec"], partial(FakeCodec, digest["codec"], calls)),
        separation_rate_hz=RATE,
        recogniser=ModelSource(digest["recogniser"], partial(FakeRecogniser, digest["recogniser"], calls)),
        labeller=ModelSource(digest["labeller"], partial(FakeLabeller, digest["labeller"], calls)),
        tagger=ModelSource(digest["tagger"], partial(FakeTagger, digest["tagger"], calls)),
        judge=ModelSource(digest["judge"], partial(FakeJudge, digest["judge"], calls)),
    )


def write_tone(path: Path, level: float, duration_s: float = 2.0, rate: int = RATE, num_channels: int = 1) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    tone = level * np.sign(np.sin(2 * np.pi * 220 * np.arange(int(duration_s * rate)) / rate))
    soundfile.write(path, np.repeat(tone[:, None], num_channels, axis=1), rate)


def write_recordings(folder: Path) -> Path:
    """Songs with and without true stems and labels, at several levels, and some that cannot be used."""
    rows = []
    for number in range(12):
        name = f"song{number:02d}"
        row: dict[str, object] = {"song_id": name, "audio": f"{name}.flac"}
        level = 0.125 + number / 16
        if number < 6:
            write_tone(folder / f"{name}.flac", level)
            row["stems"] = {stem: f"stems/{name}.{stem}.flac" for stem in ("vocal", "accompaniment")}
            write_tone(folder / f"stems/{name}.vocal.flac", level / 2)
            write_tone(folder / f"stems/{name}.accompaniment.flac", level / 2)
        else:
            write_tone(folder / f"{name}.flac", level, rate=44100, num_channels=2)
        if number % 3:
            row |= {"lyrics": "[verse] red moon.", "tags": ["male", "slow"]}
        rows.append(row)
    write_tone(folder / "silent.flac", 0.0)
    write_tone(folder / "short.flac", 0.5, duration_s=0.3)
    (folder / "text.flac").write_text("no sound")
    write_tone(folder / "long_vocal.flac", 0.5, duration_s=3.0)
    rows += [{"song_id": name, "audio": f"{name}.flac"} for name in ("silent", "short", "text", "absent")]
    odd_stems = {"vocal": "long_vocal.flac", "accompaniment": "stems/song01.accompaniment.flac"}
    rows.append({"song_id": "odd stems", "audio": "song01.flac", "stems": odd_stems})
    (folder / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    return write_recordings(tmp_path / "recordings")


@pytest.fixture(params=["in_process", pytest.param("ray", marks=pytest.mark.ray)])
def executor(request: pytest.FixtureRequest) -> Iterator[Executor]:
    if request.param == "in_process":
        yield InProcessExecutor(batch_size=4)
        return
    request.getfixturevalue("local_ray")
    from ray import cloudpickle

    from pipelines.flow.ray_executor import RayExecutor

    # Workers cannot import a test module by its name.
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    yield RayExecutor(num_workers=2, batch_size=4)
    cloudpickle.unregister_pickle_by_value(sys.modules[__name__])


@dataclass(frozen=True)
class Flow:
    """One corpus and the calls that its last run made."""

    recordings: Path
    corpus: Path
    executor: Executor

    def plan(self) -> Plan | None:
        calls = self.corpus.parent / "calls"
        return plan_corpus(recordings_of(self.recordings), self.corpus, models(calls), CorpusConfig(), self.executor)

    def run(
        self, config: CorpusConfig | None = None, progress: ProgressCallback | None = None, **digests: str
    ) -> "Ran":
        calls = self.corpus.parent / "calls"
        calls.unlink(missing_ok=True)
        prepared = prepare_corpus(
            recordings_of(self.recordings),
            self.corpus,
            models(calls, **digests),
            config or CorpusConfig(),
            self.executor,
            progress,
        )
        lines = calls.read_text().splitlines() if calls.exists() else []
        outcomes = list(open_corpus(self.corpus).outcomes())
        return Ran(prepared, outcomes, sorted({line.split()[0] for line in lines}), len(lines))


@dataclass(frozen=True)
class Ran:
    """A run: what it gave, which fakes it asked, and how often."""

    prepared: PreparedCorpus
    outcomes: list[PreparedSong | Refusal]
    asked: list[str]
    num_calls: int

    @property
    def songs(self) -> dict[str, PreparedSong]:
        return {song.song_id: song for song in self.outcomes if isinstance(song, PreparedSong)}

    @property
    def refusals(self) -> dict[str, str]:
        return {row.item_id: f"{row.stage}: {row.reason}" for row in self.outcomes if isinstance(row, Refusal)}


@pytest.fixture
def flow(recordings: Path, tmp_path: Path) -> Flow:
    return Flow(recordings, tmp_path / "corpus", InProcessExecutor(batch_size=4))


@pytest.fixture
def flow_anywhere(recordings: Path, tmp_path: Path, executor: Executor) -> Flow:
    return Flow(recordings, tmp_path / "corpus", executor)


def test_every_recording_is_a_labelled_song_or_a_counted_refusal(flow: Flow) -> None:
    ran = flow.run()
    assert sorted(ran.songs) == [f"song{number:02d}" for number in range(12)]
    assert ran.refusals == {
        "silent": "check: silent",
        "short": "check: too short",
        "text": "check: unreadable",
        "odd stems": "stems: stem: does not match its mixture",
        "absent": "listing: missing",
    }
    given, heard, separated = ran.songs["song01"], ran.songs["song03"], ran.songs["song06"]
    assert (given.lyrics, given.lyrics_source, given.tags) == (
        "[verse] red moon.",
        LabelSource.METADATA,
        ("male", "slow"),
    )
    assert (given.heard_words, given.sections, given.tempo_bpm) == (None, None, None)
    assert heard.lyrics == separated.lyrics == "[chorus] moo. ; [outro-short]"
    assert (heard.lyrics_source, heard.tags, heard.tempo_bpm) == (LabelSource.FLOW, ("female",), 125.0)
    assert (separated.sample_rate_hz, separated.num_channels, separated.num_frames) == (44100, 2, 50)
    assert ran.songs["song00"].musicality.missing == "too quiet"
    tiers = [song.tier for song in ran.songs.values()]
    assert [tier is None for tier in tiers] == [True, True] + [False] * 10


def write_bad_recordings(folder: Path) -> dict[str, str]:
    """One good song, and every kind of bad one under its own name; returns what each is refused for."""
    folder.mkdir()
    write_tone(folder / "good.flac", 0.5)
    tone = np.full(2 * RATE, 0.5, np.float32)
    holes = tone.copy()
    holes[1000:1010] = np.nan
    write_tone(folder / "silent.flac", 0.0)
    write_tone(folder / "too short.flac", 0.5, duration_s=0.3)
    write_tone(folder / "too long.flac", 0.5, duration_s=6.0)
    write_tone(folder / "low rate.flac", 0.5, rate=4000)
    write_tone(folder / "six channels.flac", 0.5, num_channels=6)
    soundfile.write(folder / "not a number.wav", holes, RATE, subtype="FLOAT")
    soundfile.write(folder / "far too loud.wav", 1000 * tone, RATE, subtype="FLOAT")
    (folder / "text.flac").write_text("no sound")
    (folder / "empty.flac").touch()
    (folder / "cut.flac").write_bytes((folder / "good.flac").read_bytes()[:-100])
    rows: list[dict[str, object]] = [
        {"song_id": path.stem, "audio": path.name} for path in sorted(folder.iterdir()) if path.is_file()
    ]
    rows += [
        {"song_id": "unknown tag", "audio": "good.flac", "lyrics": "[hook] la."},
        {"song_id": "instrumental text", "audio": "good.flac", "lyrics": "[inst-short] la."},
        {"song_id": "absent", "audio": "absent.flac"},
        {"song_id": "outside", "audio": "../outside.flac"},
    ]
    (folder / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows) + "no json\n")
    return {
        "silent": "check: silent",
        "too short": "check: too short",
        "too long": "check: too long",
        "low rate": "check: sample rate out of range",
        "six channels": "check: too many channels",
        "not a number": "check: not finite",
        "far too loud": "check: out of range",
        "text": "check: unreadable",
        "empty": "check: empty file",
        "cut": "check: unreadable",
        "unknown tag": "listing: bad lyrics",
        "instrumental text": "listing: bad lyrics",
        "absent": "listing: missing",
        "outside": "listing: path outside the folder",
        "metadata.jsonl, line 16": "listing: bad metadata",
    }


def test_every_kind_of_bad_recording_is_a_counted_refusal_and_the_good_one_is_used(tmp_path: Path) -> None:
    refused = write_bad_recordings(tmp_path / "bad")
    flow = Flow(tmp_path / "bad", tmp_path / "corpus", InProcessExecutor(batch_size=4))
    config = CorpusConfig(limits=AudioLimits(max_duration_s=5.0))
    ran = flow.run(config)
    assert ran.refusals == refused
    assert list(ran.songs) == ["good"]
    stored = open_corpus(flow.corpus)
    assert {row.item_id for row in stored.refusals} == set(refused)
    assert all(row.detail for row in stored.refusals)
    assert not list(flow.corpus.rglob("*.partial"))
    assert flow.run(config).num_calls == 0


def test_the_published_corpus_holds_the_songs_their_tokens_and_stems(flow: Flow) -> None:
    ran = flow.run()
    corpus = open_corpus(flow.corpus)
    assert list(corpus.songs) == list(ran.songs.values())
    assert {refusal.item_id for refusal in corpus.refusals} == set(ran.refusals)
    corpus.snapshot.verify()
    song = ran.songs["song03"]
    level = 0.125 + 3 / 16
    assert corpus.tokens(song).codes[:, 0].tolist() == [
        round(511 * level),
        round(511 * level / 2),
        round(511 * level / 2),
    ]
    separated = corpus.stems(ran.songs["song06"])
    assert separated.vocal.sample_rate_hz == RATE
    assert loudness(separated.accompaniment) == pytest.approx(3 * loudness(separated.vocal), rel=1e-3)
    assert hashlib.sha256((flow.recordings / song.audio.path).read_bytes()).hexdigest() == song.audio.sha256


def test_a_rerun_asks_no_model_and_publishes_nothing(flow: Flow) -> None:
    first, again = flow.run(), flow.run()
    assert again.num_calls == 0
    assert again.outcomes == first.outcomes
    assert again.prepared.snapshot == first.prepared.snapshot
    assert again.prepared.num_reused == 16


def test_a_changed_file_redoes_just_its_song(flow: Flow) -> None:
    first = flow.run()
    write_tone(flow.recordings / "song07.flac", 0.9)
    write_tone(flow.recordings / "silent.flac", 0.3)
    second = flow.run()
    assert second.prepared.num_reused == 14
    assert second.num_calls == 5 + 6
    assert set(second.songs) == {*first.songs, "silent"}
    unchanged = [name for name in first.songs if name != "song07"]
    assert [second.songs[name].tokens for name in unchanged] == [first.songs[name].tokens for name in unchanged]
    assert second.prepared.snapshot.manifest.parent == first.prepared.snapshot.manifest.snapshot_id


def test_a_changed_model_redoes_its_stage_and_what_follows(flow: Flow) -> None:
    flow.run()
    assert flow.run(judge="new").asked == ["FakeJudge"]
    assert flow.run(judge="new", tagger="new").asked == ["FakeJudge", "FakeTagger"]
    assert flow.run(separator="new").asked == [
        "FakeCodec",
        "FakeJudge",
        "FakeLabeller",
        "FakeRecogniser",
        "FakeSeparator",
        "FakeTagger",
    ]
    assert flow.run(CorpusConfig(tags=Ask.ALWAYS)).asked == ["FakeJudge", "FakeTagger"]


def test_given_lyrics_are_laid_on_the_vocal_where_that_can_be(recordings: Path, tmp_path: Path) -> None:
    aligner = ModelSource("aligner", partial(FakeAligner, "aligner", tmp_path / "calls"))
    fakes = replace(models(tmp_path / "calls"), aligner=aligner)
    corpus = tmp_path / "corpus"
    prepare_corpus(recordings_of(recordings), corpus, fakes, CorpusConfig(), InProcessExecutor())
    opened = open_corpus(corpus)
    songs = {song.song_id: song for song in opened.songs}
    aligned = songs["song01"].aligned_lines
    assert aligned is not None
    assert [(word.word, word.start_s) for word in aligned[0].words] == [("red", 0.0), ("moon", 0.5)]
    assert [word.word for word in timed_words(songs["song01"])] == ["red", "moon"]
    assert songs["song03"].aligned_lines is None, "its lyrics were heard, not given"
    assert [word.word for word in timed_words(songs["song03"])] == ["moo"]
    loud = [song for song in opened.songs if song.given_lyrics and song.aligned_lines is None]
    assert loud
    assert all(loudness(opened.stems(song).vocal) > 0.2 for song in loud)
    assert opened.snapshot.manifest.versions["aligner"] == "aligner"


def test_a_label_that_nobody_is_asked_for_is_left_out(flow: Flow) -> None:
    ran = flow.run(CorpusConfig(structure=Ask.NEVER, tags=Ask.NEVER))
    song = ran.songs["song03"]
    assert (song.lyrics, song.sections, song.tags, song.tempo_bpm) == ("[verse] moo.", None, (), None)
    assert not {"FakeLabeller", "FakeTagger"} & set(ran.asked)


def test_both_executors_give_equal_tables_and_know_what_is_done(flow_anywhere: Flow) -> None:
    here = Flow(flow_anywhere.recordings, flow_anywhere.corpus, InProcessExecutor()).run()
    shutil.rmtree(flow_anywhere.corpus)
    there = flow_anywhere.run()
    assert there.prepared == here.prepared
    assert there.num_calls == here.num_calls
    again = flow_anywhere.run()
    assert again.outcomes == here.outcomes
    assert again.num_calls == 0


def test_a_plan_is_made_of_a_trial_and_holds(
    flow_anywhere: Flow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pipelines.corpus.planning

    assert flow_anywhere.plan() is None, "twelve songs are too few"
    monkeypatch.setattr(pipelines.corpus.planning, "_WORTH_A_TRIAL", 1)
    whole = Flow(flow_anywhere.recordings, tmp_path / "whole", InProcessExecutor()).run()
    plan = flow_anywhere.plan()
    assert plan is not None
    num_trial = 4 * flow_anywhere.executor.num_workers
    assert (plan.num_trial, plan.expected.num_songs) == (num_trial, 16 - num_trial)
    assert plan.expected.peak_memory_bytes > 0
    assert [stage.name for stage in plan.expected.stages] == [stage.name for stage in whole.prepared.costs.stages]
    ran = flow_anywhere.run()
    assert ran.prepared == replace(whole.prepared, num_reused=num_trial, snapshot=ran.prepared.snapshot)
    assert ran.outcomes == whole.outcomes
    assert ran.prepared.costs.num_songs == plan.expected.num_songs
    stored = sum(path.stat().st_size for path in (tmp_path / "whole" / "objects").rglob("*.*"))
    assert ran.prepared.costs.stored_bytes < whole.prepared.costs.stored_bytes <= 2 * stored
    assert all(stage.seconds > 0 for stage in ran.prepared.costs.stages)


def test_stages_one_at_a_time_give_the_same_and_tell_how_far_they_are(flow: Flow) -> None:
    steps: list[Progress] = []
    whole = flow.run()
    apart = Flow(flow.recordings, flow.corpus.with_name("apart"), flow.executor)
    ran = apart.run(CorpusConfig(is_stagewise=True), progress=steps.append)
    assert ran.outcomes == whole.outcomes
    assert ran.num_calls == whole.num_calls
    assert ran.prepared.num_reused == 0
    assert {step.num_items for step in steps} == {7 * 16}
    assert steps[-1].num_done == 7 * 16
    assert [step.num_done for step in steps] == sorted(step.num_done for step in steps)


def test_a_folder_of_something_else_is_left_alone(flow: Flow, tmp_path: Path) -> None:
    flow.corpus.mkdir()
    (flow.corpus / "diary.txt").write_text("dear")
    with pytest.raises(ForeignCorpusError, match=r"is not empty and has no corpus\.json"):
        flow.run()
    assert [path.name for path in flow.corpus.iterdir()] == ["diary.txt"]
    shutil.rmtree(flow.corpus)
    flow.run()
    other = write_recordings(tmp_path / "other recordings")
    with pytest.raises(ForeignCorpusError, match=r"is the corpus of .*recordings .*, not of .*other recordings"):
        Flow(other, flow.corpus, flow.executor).run()


def test_a_model_that_is_not_the_one_that_was_meant_is_refused(recordings: Path, tmp_path: Path) -> None:
    wanted = models(tmp_path / "calls")
    swapped = replace(wanted, codec=ModelSource("other", wanted.codec.load))
    with pytest.raises(ChangedModelError, match="loaded a model of digest codec; expected other"):
        prepare_corpus(recordings_of(recordings), tmp_path / "corpus", swapped, CorpusConfig(), InProcessExecutor())


@pytest.mark.parametrize("num_bytes", [2_000, 8_000, 30_000])
def test_a_full_disk_publishes_nothing_and_the_next_run_goes_on(
    flow: Flow, num_bytes: int, small_disk: Callable[[int], AbstractContextManager[None]]
) -> None:
    with small_disk(num_bytes), pytest.raises(DiskError, match=re.escape(f"cannot write {flow.corpus}/")):
        flow.run()
    assert not (flow.corpus / "CURRENT").exists()
    assert not list(flow.corpus.rglob("*.partial"))
    again = flow.run()
    assert sorted(again.songs) == [f"song{number:02d}" for number in range(12)]
    whole = Flow(flow.recordings, flow.corpus.with_name("whole corpus"), flow.executor).run()
    assert again.outcomes == whole.outcomes


def run_in_a_new_process(act: Callable[[], object]) -> int:
    """The exit code of a process that does nothing else; it is no fork, which would share Ray's sockets."""
    from ray import cloudpickle

    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    program = "import pickle, sys; pickle.load(sys.stdin.buffer)()"
    done = subprocess.run([sys.executable, "-c", program], input=cloudpickle.dumps(act), check=False)
    cloudpickle.unregister_pickle_by_value(sys.modules[__name__])
    return done.returncode


def test_a_killed_run_goes_on_where_it_was(flow: Flow) -> None:
    whole = Flow(flow.recordings, flow.corpus.with_name("whole corpus"), flow.executor).run()

    def killed() -> None:
        import pipelines.flow.run

        pipelines.flow.run.REMEMBER_EVERY_S = 0.0
        score = FakeJudge.score

        def score_some(self: FakeJudge, songs: Sequence[Waveform]) -> list[Score]:
            if any(loudness(song) > 0.5 for song in songs):
                os.kill(os.getpid(), signal.SIGKILL)
            return score(self, songs)

        FakeJudge.score = score_some  # type: ignore[method-assign]
        flow.run()

    assert run_in_a_new_process(killed) == -signal.SIGKILL
    assert not (flow.corpus / "CURRENT").exists()
    again = flow.run()
    assert 0 < again.num_calls < whole.num_calls
    assert again.outcomes == whole.outcomes
