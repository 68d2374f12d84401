"""Continuous batching: requests wait, join the running batch of their length class, and leave when their song ends."""

import re
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from levo.model.conditioners import used_positions
from levo.model.config import LeLMConfig
from levo.model.sampling.lane import EncodedRequest, Lane
from levo.model.sampling.length_class import LengthClass
from levo.model.sampling.placement import Placement
from levo.model.sampling.recorded import Capture
from levo.model.sampling.request import SampledSong, SamplingRequest
from levo.model.store import LoadedModel
from levo.model.tokenizer import DESCRIPTION_TAGS, ConditionEncoder
from levo.song.lyrics import LyricsError, parse_lyrics
from levo.song.tokens import NUM_STREAMS, TokenGrid

_BRACKETED = re.compile(r"\[[^\]]*\]")


class RequestError(ValueError):
    """A request that the engine cannot serve."""


@dataclass(frozen=True, slots=True)
class EngineProgress:
    """Where a run of requests stands; frames are those of finished songs."""

    num_finished: int
    num_running: int
    num_waiting: int
    num_frames: int


class SamplingEngine:
    """Draws songs. Single-threaded: whoever owns it calls `submit` and `step` in turn."""

    def __init__(
        self, loaded: LoadedModel, length_classes: Sequence[LengthClass], capture: Capture | None = None
    ) -> None:
        """Lanes are allocated as songs come for them; a `capture` records their steps (`recorded.py`)."""
        self._loaded = loaded
        self._capture = capture
        self._length_classes = tuple(sorted(length_classes, key=lambda length: (length.max_frames, length.max_prefix)))
        self._lanes: dict[LengthClass, Lane] = {}
        self._ids: set[str] = set()
        self._waiting: dict[LengthClass, deque[EncodedRequest]] = {length: deque() for length in self._length_classes}

    @property
    def model_digest(self) -> str:
        """The weights that songs starting now are made by."""
        return self._loaded.digest

    @property
    def num_waiting(self) -> int:
        """Songs that have not started."""
        return sum(len(queue) for queue in self._waiting.values())

    @property
    def num_running(self) -> int:
        """Songs that have started."""
        return sum(lane.num_songs for lane in self._lanes.values())

    def submit(self, request: SamplingRequest) -> None:
        """Queue a request; raises `RequestError` or `ConditionError` where it cannot be served."""
        if request.request_id in self._ids:
            raise RequestError(f"request {request.request_id!r} is already waiting or running")
        encoded = encode_request(request, self._loaded.encoder, self._loaded.model.config)
        self._waiting[self._length_class_of(encoded)].append(encoded)
        self._ids.add(request.request_id)

    def swap_model(self, loaded: LoadedModel) -> None:
        """Start songs on new weights from now on; each batch first finishes the songs that run on the old ones.

        Waiting songs keep the ids that they were encoded with, so the new model must have the config of the old one.
        """
        if loaded.model.config != self._loaded.model.config:
            raise RequestError("the new model has another config than the running one; start another engine for it")
        self._loaded = loaded

    def cancel(self, request_id: str) -> SampledSong | None:
        """Take a request out and return what it has so far; None where it is unknown or finished."""
        for queue in self._waiting.values():
            for encoded in queue:
                if encoded.request.request_id == request_id:
                    queue.remove(encoded)
                    self._ids.remove(request_id)
                    return _unstarted(encoded.request, self._loaded.digest)
        for lane in self._lanes.values():
            song = lane.cancel(request_id)
            if song is not None:
                self._ids.remove(request_id)
                return song
        return None

    def step(self) -> list[SampledSong]:
        """Let waiting songs join and draw one column of every running song; returns the finished ones."""
        finished: list[SampledSong] = []
        for length_class in self._length_classes:
            self._admit(length_class)
            lane = self._lanes.get(length_class)
            if lane is not None and lane.num_songs:
                finished.extend(lane.step())
        self._ids.difference_update(song.request_id for song in finished)
        return finished

    def run(
        self,
        requests: Sequence[SamplingRequest],
        progress: Callable[[EngineProgress], None] | None = None,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> list[SampledSong]:
        """Draw all songs and return them in the requests' order; where stopped, unfinished ones come as they are."""
        for request in requests:
            self.submit(request)
        songs: dict[str, SampledSong] = {}
        while (self.num_waiting or self.num_running) and not should_stop():
            finished = self.step()
            songs.update({song.request_id: song for song in finished})
            if progress is not None and finished:
                num_frames = sum(song.tokens.num_frames for song in songs.values())
                progress(EngineProgress(len(songs), self.num_running, self.num_waiting, num_frames))
        for request in requests:
            interrupted = self.cancel(request.request_id) if request.request_id not in songs else None
            if interrupted is not None:
                songs[request.request_id] = interrupted
        return [songs[request.request_id] for request in requests]

    def _length_class_of(self, encoded: EncodedRequest) -> LengthClass:
        """The smallest class that holds the request; other requests have no say in it."""
        request = encoded.request
        for length in self._length_classes:
            fits = request.max_frames <= length.max_frames and encoded.prefix_length <= length.max_prefix
            num_slots = length.num_rows // length.rows_per_slot
            if fits and encoded.num_rows <= min(num_slots, length.prefill_rows):
                return length
        raise RequestError(
            f"request {request.request_id} asks for {request.max_frames} frames behind {encoded.prefix_length} "
            f"condition positions in {encoded.num_rows} rows; the engine holds {list(self._length_classes)}"
        )

    def _admit(self, length_class: LengthClass) -> None:
        lane, queue = self._lane(length_class), self._waiting[length_class]
        while lane is not None:
            num_joining = num_to_admit((encoded.prefixes for encoded in queue), lane.placement, length_class)
            if not num_joining:
                return
            lane.admit([queue.popleft() for _ in range(num_joining)])

    def _lane(self, length_class: LengthClass) -> Lane | None:
        """The lane that songs may join: none while it still runs songs of other weights, or nothing waits."""
        lane = self._lanes.get(length_class)
        if not self._waiting[length_class]:
            return None
        if lane is None or (lane.loaded is not self._loaded and not lane.num_songs):
            lane = self._lanes[length_class] = Lane(self._loaded, length_class, capture=self._capture)
        return lane if lane.loaded is self._loaded else None


def encode_request(request: SamplingRequest, encoder: ConditionEncoder, config: LeLMConfig) -> EncodedRequest:
    """A request with its condition rows; guidance other than 1 adds the null row."""
    _check_text(request)
    songs = [request.conditions]
    if request.parameters.guidance != 1.0:
        songs.append(request.conditions.null())
    tokens = encoder.encode(songs)
    prefixes = tokens.row_digests()
    if config.prefix_padding == "attended":
        return EncodedRequest(request, tokens, (config.prefix_length,) * tokens.num_rows, prefixes)
    lengths = used_positions(tokens, config).sum(dim=1).tolist()
    return EncodedRequest(request, tokens, tuple(lengths), prefixes)


def _check_text(request: SamplingRequest) -> None:
    if request.conditions.lyrics is not None:
        try:
            parse_lyrics(request.conditions.lyrics)
        except LyricsError as error:
            raise RequestError(f"request {request.request_id}: {error}") from error
    for tag in _BRACKETED.findall(request.conditions.description or ""):
        if tag not in DESCRIPTION_TAGS:
            raise RequestError(
                f"request {request.request_id}: unknown tag {tag!r} in the description; "
                f"expected one of {', '.join(DESCRIPTION_TAGS)}, or plain words"
            )


def num_to_admit(prefixes: Iterable[Sequence[str]], placement: Placement, length_class: LengthClass) -> int:
    """How many waiting songs join now; `prefixes` names those of each song's rows.

    A prefill costs the same for one prefix as for `prefill_rows` of them, so songs wait for company while others wait
    behind them: until all of them can join, or a prefill is full, or at least as many rows as it has prefixes.
    """
    worth_it = min(length_class.prefill_rows, length_class.num_rows)
    num_joining = num_rows = 0
    missing: set[str] = set()
    trial = placement.copy()
    for names in prefixes:
        together = missing.union(name for name in names if not placement.holds(name))
        if len(together) > length_class.prefill_rows:
            return num_joining
        if trial.take(names) is None:
            return num_joining if placement.is_empty or num_rows + len(names) > worth_it else 0
        num_joining, num_rows, missing = num_joining + 1, num_rows + len(names), together
    return num_joining


def _unstarted(request: SamplingRequest, digest: str) -> SampledSong:
    no_tokens = TokenGrid(np.zeros((NUM_STREAMS, 0), dtype=np.int32))
    return SampledSong(request.request_id, request.seed, no_tokens, False, digest, True)
