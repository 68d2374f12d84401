"""Songs that repeat others token for token: what a model has by heart, and candidates that are the same song.

Songs are compared by fingerprints of their windows of tokens, of which the fixed share with the smallest hashes is kept
(S. Schleimer, D. Wilkerson, A. Aiken: Winnowing, SIGMOD 2003, in the form "0 mod p"). Equal windows keep equal
fingerprints wherever they stand, so an index of a corpus holds one number for about `keep_one_in` frames.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int32, UInt64

from levo.song.arrays import Array

_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True, slots=True)
class CopyRules:
    """When a song is a copy: from which share of its windows on they stand in another one.

    A window of 25 frames is a second, over the vocal and the accompaniment stream together.
    """

    window_frames: int = 25
    max_share: float = 0.5
    keep_one_in: int = 4

    def __post_init__(self) -> None:
        if self.window_frames < 1 or self.keep_one_in < 1:
            raise ValueError(f"window_frames {self.window_frames}, keep_one_in {self.keep_one_in}; expected 1 or more")
        if not 0 < self.max_share <= 1:
            raise ValueError(f"max_share is {self.max_share}; expected a share above 0, up to 1")


def fingerprints(codes: Int32[Array, "stream frame"], rules: CopyRules) -> UInt64[Array, " window"]:
    """The kept fingerprints of a song's windows, sorted, each once; none for a song shorter than a window."""
    num_windows = codes.shape[1] - rules.window_frames + 1
    if num_windows < 1:
        return np.empty(0, np.uint64)
    # The mixed stream says again what the two tracks say.
    tracks = codes[1:].astype(np.uint64) + np.uint64(1)
    with np.errstate(over="ignore"):
        frames = np.zeros(codes.shape[1], np.uint64)
        for track in tracks:
            frames = _mixed(frames ^ track)
        hashes = np.zeros(num_windows, np.uint64)
        for offset in range(rules.window_frames):
            hashes = _mixed(hashes ^ frames[offset : offset + num_windows])
    return np.unique(hashes[hashes % np.uint64(rules.keep_one_in) == 0])


class CopyIndex:
    """The fingerprints of many songs, asked for how much of another song they hold."""

    def __init__(self, songs: Iterable[UInt64[Array, " window"]]) -> None:
        """Keep the fingerprints of all songs together."""
        parts = list(songs)
        self._known = np.unique(np.concatenate(parts)) if parts else np.empty(0, np.uint64)

    def share_of(self, windows: UInt64[Array, " window"]) -> float:
        """The share of a song's windows that stand in one of the songs; 0 for a song without windows."""
        return share_in(windows, self._known)


def share_in(windows: UInt64[Array, " window"], other: UInt64[Array, " window"]) -> float:
    """The share of a song's windows that stand in one other song."""
    return float(np.isin(windows, other, assume_unique=True).mean()) if len(windows) else 0.0


def _mixed(values: UInt64[Array, " value"]) -> UInt64[Array, " value"]:
    """Spread every bit over the word (the finaliser of splitmix64)."""
    values = values + _MULTIPLIER
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: UInt64[Array, " value"] = values ^ (values >> np.uint64(31))
    return mixed
