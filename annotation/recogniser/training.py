"""Training the CTC recogniser on songs whose phonemes are known, heard as voice, as mixture and as decoded tokens."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from annotation.recogniser.ctc import CtcRecogniser
from annotation.recogniser.lexicon import Lexicon
from annotation.recogniser.network import BLANK, NetworkConfig, RecogniserNetwork
from annotation.recogniser.pieces import Piece, cut_song
from levo.song.labelled import LabelledSong
from levo.song.waveform import Waveform

_PADDING = -100


@dataclass(frozen=True, slots=True)
class RecogniserTrainingConfig:
    """How long and on what; the share of the three hearings is a weight each."""

    network: NetworkConfig = field(default_factory=NetworkConfig)
    num_steps: int = 700
    pieces_per_step: int = 8
    max_piece_s: float = 6.0
    learning_rate: float = 4e-3
    vocal_weight: float = 0.15
    mixture_weight: float = 0.25
    decoded_weight: float = 0.6
    num_masked_bands: int = 12


@dataclass(frozen=True, slots=True)
class RecogniserProgress:
    """One step of training; losses in nats, CTC's a phoneme and the framewise one a frame."""

    step: int
    num_steps: int
    ctc_loss: float
    frame_loss: float


def train_recogniser(
    songs: Sequence[LabelledSong],
    decoded: Sequence[Waveform],
    lexicon: Lexicon,
    seed: int,
    config: RecogniserTrainingConfig | None = None,
    progress: Callable[[RecogniserProgress], None] | None = None,
) -> CtcRecogniser:
    """Connectionist temporal classification (Graves et al., 2006) plus cross-entropy on the known times.

    `decoded` are the songs' mixtures after a codec, in the same order. Raises `ValueError` where they do not match.
    """
    config = config or RecogniserTrainingConfig()
    if len(songs) != len(decoded) or not songs:
        raise ValueError(f"{len(songs)} songs and {len(decoded)} decoded mixtures; expected as many, and at least one")
    pieces = [
        piece
        for song, mixture in zip(songs, decoded, strict=True)
        for piece in cut_song(song, (song.vocal, song.mixture, mixture), lexicon, config.network, config.max_piece_s)
    ]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = RecogniserNetwork(config.network, len(lexicon.phonemes) + 1)
    optimiser = torch.optim.AdamW(network.parameters(), lr=config.learning_rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, config.learning_rate, total_steps=config.num_steps)
    rng = np.random.default_rng(seed)
    for step in range(1, config.num_steps + 1):
        losses = _losses(network, _draw_batch(pieces, config, rng))
        optimiser.zero_grad()
        (losses.ctc + losses.frame).backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        if progress is not None:
            progress(RecogniserProgress(step, config.num_steps, losses.ctc.item(), losses.frame.item()))
    return CtcRecogniser(config.network, lexicon, network)


@dataclass(frozen=True, slots=True, eq=False)
class _Batch:
    """Pieces side by side, padded at the end; their symbols in one row."""

    levels: Tensor
    sounding: Tensor
    num_frames: Tensor
    symbols: Tensor
    num_symbols: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class _Losses:
    """CTC's in nats a phoneme, the framewise one in nats a frame."""

    ctc: Tensor
    frame: Tensor


def _losses(network: RecogniserNetwork, batch: _Batch) -> _Losses:
    logits = network(batch.levels)
    ctc = nn.functional.ctc_loss(
        logits.emitted.log_softmax(dim=2).transpose(0, 1),
        batch.symbols,
        batch.num_frames,
        batch.num_symbols,
        blank=BLANK,
        zero_infinity=True,
    )
    frame = nn.functional.cross_entropy(logits.sounding.flatten(0, 1), batch.sounding.flatten(), ignore_index=_PADDING)
    return _Losses(ctc, frame)


def _draw_batch(pieces: Sequence[Piece], config: RecogniserTrainingConfig, rng: np.random.Generator) -> _Batch:
    """Pieces and their hearings at random, louder or softer by up to 7 dB, with a few neighbouring bands silenced."""
    weights = np.array([config.vocal_weight, config.mixture_weight, config.decoded_weight])
    drawn = [pieces[index] for index in rng.integers(len(pieces), size=config.pieces_per_step)]
    num_frames = [piece.num_frames for piece in drawn]
    levels = np.zeros((len(drawn), max(num_frames), config.network.num_bands), dtype=np.float32)
    sounding = np.full((len(drawn), max(num_frames)), _PADDING, dtype=np.int64)
    for row, piece in enumerate(drawn):
        heard = piece.levels[rng.choice(weights.size, p=weights / weights.sum())]
        levels[row, : num_frames[row]] = heard + np.float32(rng.uniform(-0.4, 0.4))
        width = int(rng.integers(config.num_masked_bands + 1))
        low = int(rng.integers(config.network.num_bands - width + 1))
        levels[row, :, low : low + width] = 0
        sounding[row, : num_frames[row]] = piece.sounding
    return _Batch(
        torch.from_numpy(levels),
        torch.from_numpy(sounding),
        torch.tensor(num_frames),
        torch.from_numpy(np.concatenate([piece.symbols for piece in drawn])),
        torch.tensor([piece.symbols.size for piece in drawn]),
    )
