"""A song cut into windows of equal length, as models that hear a few seconds need it."""

from jaxtyping import Float32

from levo.song.arrays import Array


def windows_of(samples: Float32[Array, " sample"], length: int) -> list[Float32[Array, " sample"]]:
    """Windows one after the other, the last one ending with the song, where it overlaps the one before.

    A song no longer than a window is one, as it is.
    """
    if length < 1:
        raise ValueError(f"windows of {length} samples; expected 1 or more")
    if samples.size <= length:
        return [samples]
    starts = [*range(0, samples.size - length, length), samples.size - length]
    return [samples[start : start + length] for start in starts]
