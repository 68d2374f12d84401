"""What a codec is: sound to three streams of tokens, and tokens back to sound."""

from collections.abc import Sequence
from typing import Protocol

from levo.codec.stems import Stems
from levo.song.tokens import TokenGrid
from levo.song.waveform import Waveform


class Codec(Protocol):
    """Stems <-> token grid; a song's tokens do not depend on the songs that are coded with it."""

    @property
    def digest(self) -> str:
        """Names the weights and settings; equal digests code alike."""
        ...

    @property
    def sample_rate_hz(self) -> int:
        """Rate of decoded audio; any other rate is resampled on the way in."""
        ...

    @property
    def frame_rate_hz(self) -> int:
        """Frames a second, in every stream."""
        ...

    @property
    def code_size(self) -> int:
        """Codes lie in 0 ... code_size - 1 in every stream; a stream may use fewer."""
        ...

    def encode(self, stems: Stems) -> TokenGrid:
        """Tokens of a song; a begun frame counts as one. `ValueError` for empty, non-finite or mismatched audio."""
        ...

    def encode_batch(self, songs: Sequence[Stems]) -> list[TokenGrid]:
        """`encode` of each song."""
        ...

    def decode(self, tokens: TokenGrid) -> Stems:
        """Vocal, accompaniment and their sum. `ValueError` for codes outside the codebooks."""
        ...

    def decode_batch(self, songs: Sequence[TokenGrid]) -> list[Stems]:
        """`decode` of each song."""
        ...

    def decode_mixed(self, tokens: TokenGrid) -> Waveform:
        """The song from its mixed stream alone."""
        ...
