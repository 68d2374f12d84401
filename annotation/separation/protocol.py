"""What a separator is: a mixture goes in, its vocal and its accompaniment come out."""

from typing import Protocol

from levo.codec.stems import Stems
from levo.song.waveform import Waveform


class Separator(Protocol):
    """Splits a mixture; rate, channels and length stay, and vocal + accompaniment equals the returned mixture."""

    @property
    def digest(self) -> str:
        """Names the method and its parameters or weights: the same digest gives the same stems."""
        ...

    def separate(self, mixture: Waveform) -> Stems:
        """The stems of a mixture; raises `ValueError` where it holds no usable sound (empty, or not finite)."""
        ...
