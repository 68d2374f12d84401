"""The scoring and labelling recogniser: a small CTC network over the phonemes of a lexicon."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32

from annotation.recogniser.alignment import ctc_alignment
from annotation.recogniser.lexicon import Lexicon
from annotation.recogniser.network import BLANK, NetworkConfig, RecogniserNetwork, heard_levels
from annotation.recogniser.protocol import Transcript
from levo.codec.intake import mono_at_rate
from levo.codec.storage import StoredModel, load_stored, save_stored
from levo.song.arrays import Array
from levo.song.timing import TimedPhoneme
from levo.song.waveform import Waveform

_KIND = "ctc recogniser"


@dataclass(frozen=True, slots=True, eq=False)
class HeardSong:
    """Log probabilities of both heads."""

    emitted: Float32[Array, "frame symbol"]
    sounding: Float32[Array, "frame symbol"]


class CtcRecogniser:
    """A `Recogniser`; see `training.train_recogniser`. Symbol 0 is none, the others are the lexicon's phonemes."""

    def __init__(self, config: NetworkConfig, lexicon: Lexicon, network: RecogniserNetwork) -> None:
        self.config = config
        self.lexicon = lexicon
        self._network = network.eval()
        self._stored = StoredModel(
            _KIND,
            {"network": asdict(config), "lexicon": lexicon.pronunciations},
            {name: value.numpy() for name, value in network.state_dict().items()},
        )
        self.digest = self._stored.digest

    def transcribe(self, songs: Sequence[Waveform]) -> list[Transcript]:
        """One transcript a song, each heard alone, so that a song's transcript is the same in every batch."""
        return [self._transcribe(song) for song in songs]

    def align(self, song: Waveform, phonemes: Sequence[str]) -> tuple[TimedPhoneme, ...]:
        """When each of a row of known phonemes sounds.

        Raises `ValueError` where a phoneme is not the lexicon's, or the song has too few frames for them all.
        """
        known = {name: symbol for symbol, name in enumerate(self.lexicon.phonemes, start=1)}
        unknown = sorted(set(phonemes) - set(known))
        if unknown:
            raise ValueError(f"phonemes {unknown} are not in the lexicon; expected some of {list(known)}")
        return self._timed(self.hear(song).sounding, np.array([known[name] for name in phonemes], dtype=np.int64))

    def hear(self, song: Waveform) -> HeardSong:
        """Log probabilities of each symbol in each frame. `ValueError` for empty or non-finite audio."""
        levels = heard_levels(mono_at_rate(song, self.config.sample_rate_hz), self.config)
        with torch.inference_mode():
            logits = self._network(torch.from_numpy(levels)[None])
        return HeardSong(
            torch.log_softmax(logits.emitted[0], dim=1).numpy(), torch.log_softmax(logits.sounding[0], dim=1).numpy()
        )

    def save(self, folder: Path) -> None:
        """Write the recogniser and its lexicon into a folder."""
        save_stored(self._stored, folder)

    @classmethod
    def load(cls, folder: Path) -> "CtcRecogniser":
        """Read a saved recogniser; it has the digest, and hears as, the one that was saved."""
        stored = load_stored(folder, _KIND)
        config, lexicon = NetworkConfig(**stored.config["network"]), Lexicon(stored.config["lexicon"])
        network = RecogniserNetwork(config, len(lexicon.phonemes) + 1)
        network.load_state_dict({name: torch.from_numpy(value) for name, value in stored.arrays.items()})
        return cls(config, lexicon, network)

    def _transcribe(self, song: Waveform) -> Transcript:
        heard = self.hear(song)
        best = heard.emitted.argmax(axis=1)
        begins = np.flatnonzero((best != BLANK) & (best != np.concatenate([[BLANK], best[:-1]])))
        phonemes = self._timed(heard.sounding, best[begins])
        confidence = float(np.exp(heard.emitted.max(axis=1).mean()))
        return Transcript(phonemes, self.lexicon.timed_words(phonemes), confidence)

    def _timed(self, sounding: Float32[Array, "frame symbol"], symbols: Array) -> tuple[TimedPhoneme, ...]:
        rate, names = self.config.hop_rate_hz, self.lexicon.phonemes
        spans = ctc_alignment(sounding, symbols, BLANK).spans
        return tuple(TimedPhoneme(names[item.symbol - 1], item.start / rate, item.end / rate) for item in spans)
