"""A corpus to a bucket and back: only what is missing goes, the pointer goes last, and nobody is written over."""

import shutil
from pathlib import Path

import pytest

from pipelines.corpus.exchange import pull_corpus, push_corpus
from pipelines.corpus.flow import CorpusConfig, ForeignCorpusError, prepare_corpus
from pipelines.corpus.records import LabelSource
from pipelines.corpus.roots.named import recordings_of
from pipelines.corpus.snapshot import open_corpus
from pipelines.flow.executor import InProcessExecutor
from pipelines.flow.objects import ObjectError
from pipelines.flow.pointers import MovedPointerError
from pipelines.flow.snapshot import SnapshotError
from pipelines.flow.stores import RemoteStore
from tests.pipelines.corpus.test_corpus_flow import models, write_recordings, write_tone

pytest.importorskip("obstore", reason="the extra `bucket` is not installed")


def quiet(_done: int, _total: int) -> None:
    """Nobody watches."""


@pytest.fixture(params=["folder", "bucket"])
def remote(request: pytest.FixtureRequest, tmp_path: Path) -> RemoteStore:
    if request.param == "folder":
        return RemoteStore(str(tmp_path / "elsewhere"))
    return RemoteStore(f"{request.getfixturevalue('s3_bucket')}/deep/corpus")


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    return write_recordings(tmp_path / "recordings")


@pytest.fixture
def corpus(recordings: Path, tmp_path: Path) -> Path:
    return prepared(recordings, tmp_path / "corpus")


def prepared(recordings: Path, corpus: Path) -> Path:
    fakes = models(corpus.parent / "calls")
    prepare_corpus(recordings_of(recordings), corpus, fakes, CorpusConfig(), InProcessExecutor())
    return corpus


def test_a_corpus_comes_back_as_it_went(corpus: Path, remote: RemoteStore, tmp_path: Path) -> None:
    sent = push_corpus(corpus, remote, quiet)
    assert sent.num_files > 12
    fetched = pull_corpus(remote, tmp_path / "copy", quiet)
    assert (fetched.num_files, fetched.num_bytes) == (sent.num_files, sent.num_bytes)
    here, there = open_corpus(corpus), open_corpus(tmp_path / "copy")
    assert list(there.outcomes()) == list(here.outcomes())
    assert there.snapshot.manifest == here.snapshot.manifest
    song = next(song for song in there.songs if song.stem_source is LabelSource.FLOW)
    assert (there.stems(song).vocal.samples == here.stems(song).vocal.samples).all()
    assert (there.tokens(song).codes == here.tokens(song).codes).all()


def test_only_what_is_missing_goes(corpus: Path, recordings: Path, remote: RemoteStore, tmp_path: Path) -> None:
    first = push_corpus(corpus, remote, quiet)
    assert push_corpus(corpus, remote, quiet).num_files == 0
    pull_corpus(remote, tmp_path / "copy", quiet)
    write_tone(recordings / "song07.flac", 0.9)
    prepared(recordings, corpus)
    second = push_corpus(corpus, remote, quiet)
    assert 0 < second.num_files < first.num_files / 3
    assert pull_corpus(remote, tmp_path / "copy", quiet).num_files == second.num_files
    assert open_corpus(tmp_path / "copy").snapshot.manifest.parent == first.snapshot_id


def test_without_sound_come_tokens_and_labels(corpus: Path, remote: RemoteStore, tmp_path: Path) -> None:
    push_corpus(corpus, remote, quiet)
    pull_corpus(remote, tmp_path / "copy", quiet, with_sound=False)
    copy = open_corpus(tmp_path / "copy")
    assert copy.tokens(copy.songs[0]).num_frames == copy.songs[0].num_frames
    assert not list((tmp_path / "copy" / "objects").rglob("*.flac"))


def test_an_interrupted_push_shows_nothing_and_goes_on(
    corpus: Path, remote: RemoteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, put = RemoteStore.put, []

    def broken(self: RemoteStore, name: str, content: Path | bytes) -> None:
        put.append(name)
        if len(put) > 9:
            raise OSError("the network is away")
        whole(self, name, content)

    monkeypatch.setattr(RemoteStore, "put", broken)
    with pytest.raises(OSError, match="the network is away"):
        push_corpus(corpus, remote, quiet)
    monkeypatch.setattr(RemoteStore, "put", whole)
    with pytest.raises(SnapshotError, match="holds no corpus; `levo corpus push`"):
        pull_corpus(remote, tmp_path / "copy", quiet)
    there = len(remote.sizes("objects"))
    assert there > 0
    sent = push_corpus(corpus, remote, quiet)
    assert sent.num_files + there == pull_corpus(remote, tmp_path / "copy", quiet).num_files


def test_of_two_pushers_at_once_one_is_told(
    corpus: Path, recordings: Path, remote: RemoteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other corpus"
    shutil.copytree(corpus, other)
    write_tone(recordings / "song07.flac", 0.9)
    prepared(recordings, other)
    whole = RemoteStore.sizes

    def slow(self: RemoteStore, below: str) -> dict[str, int]:
        monkeypatch.setattr(RemoteStore, "sizes", whole)
        push_corpus(other, remote, quiet)
        return whole(self, below)

    monkeypatch.setattr(RemoteStore, "sizes", slow)
    with pytest.raises(MovedPointerError, match="somebody else moved it"):
        push_corpus(corpus, remote, quiet)
    newest = open_corpus(other).snapshot.manifest.snapshot_id
    assert pull_corpus(remote, tmp_path / "copy", quiet).snapshot_id == newest
    with pytest.raises(ForeignCorpusError, match=rf"holds the snapshot {newest[:12]}, which .* never had; pull it"):
        push_corpus(corpus, remote, quiet)


def test_other_recordings_and_damage_are_refused(corpus: Path, remote: RemoteStore, tmp_path: Path) -> None:
    push_corpus(corpus, remote, quiet)
    other = prepared(write_recordings(tmp_path / "others"), tmp_path / "other corpus")
    with pytest.raises(ForeignCorpusError, match="is the corpus of other recordings"):
        push_corpus(other, remote, quiet)
    with pytest.raises(ForeignCorpusError, match="choose another folder"):
        pull_corpus(remote, other, quiet)
    damaged = next(name for name in sorted(remote.sizes("objects")))
    remote.put(damaged, b"something else")
    with pytest.raises(ObjectError, match="is damaged: its content has the digest"):
        pull_corpus(remote, tmp_path / "copy", quiet)
    assert not (tmp_path / "copy" / "CURRENT").exists()
    push_corpus(corpus, remote, quiet)
    pull_corpus(remote, tmp_path / "copy", quiet)
    assert open_corpus(tmp_path / "copy").songs


def test_an_address_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="is no bucket; expected s3://BUCKET"):
        RemoteStore("s3://")
