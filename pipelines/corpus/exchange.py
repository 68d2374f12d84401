"""A corpus's newest snapshot in a bucket, or another folder: what is missing there goes first, the pointer last."""

import hashlib
import json
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from levo.song.files import write_bytes_atomically
from pipelines.corpus.flow import OBJECTS_FOLDER, OWNER_FILE, ForeignCorpusError, claim_corpus, corpus_recordings
from pipelines.corpus.records import PreparedSong, object_digests
from pipelines.corpus.roots.named import recordings_of
from pipelines.corpus.snapshot import Corpus, open_corpus
from pipelines.flow.objects import ObjectError
from pipelines.flow.snapshot import MANIFEST, POINTER, SNAPSHOTS, SnapshotError, SnapshotStore
from pipelines.flow.stores import RemoteStore

_NUM_AT_ONCE = 8
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Exchanged:
    """What went over: the snapshot, and how many files and bytes of it were not there yet."""

    snapshot_id: str
    num_files: int
    num_bytes: int


def push_corpus(corpus: Path, remote: RemoteStore, progress: Progress) -> Exchanged:
    """Bring a corpus's newest snapshot and its objects to a store, and let the store's pointer say so.

    Interrupted, it goes on from what is there. Raises ForeignCorpusError where the store holds another corpus or a
    snapshot that this one never had, MovedPointerError where somebody else pushed in the meantime.
    """
    opened = open_corpus(corpus)
    snapshot, pointer = opened.snapshot, remote.pointer(POINTER)
    seen, owner = pointer.read(), (corpus / OWNER_FILE).read_bytes()
    if seen is not None:
        _check_line(seen.text.strip(), corpus, remote, owner)
    remote.put(OWNER_FILE, owner)
    snapshot_id = snapshot.manifest.snapshot_id
    objects = [f"{OBJECTS_FOLDER}/{name}" for name in _objects(opened, with_sound=True)]
    files = [f"{SNAPSHOTS}/{snapshot_id}/{file.name}" for file in snapshot.manifest.files]
    sent = _send([*objects, *files], corpus, remote, progress)
    remote.put(f"{SNAPSHOTS}/{snapshot_id}/{MANIFEST}", (snapshot.folder / MANIFEST).read_bytes())
    if seen is None or seen.text.strip() != snapshot_id:
        pointer.move(seen, f"{snapshot_id}\n")
    return Exchanged(snapshot_id, len(sent), sum(sent))


def pull_corpus(remote: RemoteStore, corpus: Path, progress: Progress, *, with_sound: bool = True) -> Exchanged:
    """Bring a store's newest snapshot and its objects into a folder; each file is checked against its digest.

    Without sound, tokens and labels come and stems do not: what training needs. Interrupted, it goes on from what is
    there. Raises SnapshotError where the store holds no corpus, ForeignCorpusError where the folder holds another one,
    ObjectError for a damaged file.
    """
    pointed = remote.pointer(POINTER).read()
    if pointed is None:
        raise SnapshotError(f"{remote.uri} holds no corpus; `levo corpus push` brings one there")
    claim_corpus(corpus, recordings_of(json.loads(remote.get(OWNER_FILE))["recordings"]))
    snapshot_id, store = pointed.text.strip(), SnapshotStore(corpus)
    place = f"{SNAPSHOTS}/{snapshot_id}"
    manifest = remote.get(f"{place}/{MANIFEST}")
    files = {f"{place}/{file['name']}": str(file["sha256"]) for file in json.loads(manifest)["files"]}
    fetched = _fetch(files, corpus, remote, progress)
    write_bytes_atomically(corpus / place / MANIFEST, manifest)
    pulled = Corpus(corpus, corpus_recordings(corpus), store.open(snapshot_id))
    objects = {f"{OBJECTS_FOLDER}/{name}": digest for name, digest in _objects(pulled, with_sound=with_sound).items()}
    fetched += _fetch(objects, corpus, remote, progress)
    store.point_to(snapshot_id)
    return Exchanged(snapshot_id, len(fetched), sum(fetched))


def _check_line(there: str, corpus: Path, remote: RemoteStore, owner: bytes) -> None:
    """Refuse to push over what this corpus does not follow."""
    if remote.get(OWNER_FILE) != owner:
        raise ForeignCorpusError(f"{remote.uri} is the corpus of other recordings than {corpus}; choose another place")
    if there not in SnapshotStore(corpus).ids():
        raise ForeignCorpusError(f"{remote.uri} holds the snapshot {there[:12]}, which {corpus} never had; pull it")


def _objects(corpus: Corpus, *, with_sound: bool) -> dict[str, str]:
    """Digests of all songs' objects, by their paths."""
    songs = (outcome for outcome in corpus.outcomes() if isinstance(outcome, PreparedSong))
    return {name: digest for song in songs for name, digest in object_digests(song, with_sound=with_sound).items()}


def _send(names: list[str], folder: Path, remote: RemoteStore, progress: Progress) -> list[int]:
    """Send the files that are missing there or of another size; the bytes of each."""
    there = {name: size for below in (OBJECTS_FOLDER, SNAPSHOTS) for name, size in remote.sizes(below).items()}
    sizes = {name: (folder / name).stat().st_size for name in names}
    missing = [name for name in names if there.get(name) != sizes[name]]
    return _each(missing, lambda name: remote.put(name, folder / name), sizes.__getitem__, progress)


def _fetch(digests: Mapping[str, str], folder: Path, remote: RemoteStore, progress: Progress) -> list[int]:
    """Fetch the files that are missing here; the bytes of each."""

    def fetch(name: str) -> None:
        content = remote.get(name)
        found = hashlib.sha256(content).hexdigest()
        if found != digests[name]:
            raise ObjectError(f"{remote.uri}/{name} is damaged: its content has the digest {found[:16]}")
        write_bytes_atomically(folder / name, content, flush=False)

    missing = [name for name in digests if not (folder / name).is_file()]
    return _each(missing, fetch, lambda name: (folder / name).stat().st_size, progress)


def _each(names: list[str], act: Callable[[str], None], size: Callable[[str], int], progress: Progress) -> list[int]:
    with ThreadPoolExecutor(_NUM_AT_ONCE) as threads:
        for number, _ in enumerate(threads.map(act, names), 1):
            progress(number, len(names))
    return [size(name) for name in names]
