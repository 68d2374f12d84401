import numpy as np
import pytest
import torch

from reward.listener import Listener, ListenerConfig
from reward.spectrogram import NUM_BANDS, NUM_MEL_BANDS, spectrogram, turned_to_key

RATE_HZ = 16_000


def chord(pitches: tuple[int, ...], duration_s: float = 2.0) -> torch.Tensor:
    times_s = np.arange(round(duration_s * RATE_HZ)) / RATE_HZ
    sound = sum(np.sin(2 * np.pi * 440 * 2 ** ((pitch - 69) / 12) * times_s) for pitch in pitches)
    return spectrogram((0.1 * np.asarray(sound)).astype(np.float32))


def test_a_frame_comes_every_twenty_milliseconds() -> None:
    assert chord((69,), 2.0).shape == (NUM_BANDS, 101)


@pytest.mark.parametrize("pitch", [50, 61, 69, 80])
def test_a_tone_is_loudest_in_its_pitch_class_and_higher_tones_in_higher_bands(pitch: int) -> None:
    bands = chord((pitch,)).mean(dim=1)
    assert int(bands[NUM_MEL_BANDS:].argmax()) == pitch % 12
    assert int(bands[:NUM_MEL_BANDS].argmax()) <= int(chord((pitch + 12,)).mean(dim=1)[:NUM_MEL_BANDS].argmax())


def test_turned_to_its_key_a_scale_looks_the_same_in_all_twelve_keys() -> None:
    scale = torch.zeros(NUM_BANDS, 12)
    scale[NUM_MEL_BANDS:] = torch.tensor([5.0, 0, 2, 0, 3, 2, 0, 4, 0, 2, 0, 1])[:, None]
    rolled = [torch.cat([scale[:NUM_MEL_BANDS], scale[NUM_MEL_BANDS:].roll(steps, dims=0)]) for steps in range(12)]
    turned = turned_to_key(torch.stack(rolled))
    assert (turned == turned[0]).all()
    assert turned[0, NUM_MEL_BANDS:, 0].tolist() == scale[NUM_MEL_BANDS:, 0].tolist()


@pytest.mark.parametrize("period_frames", [16, 20, 24])
def test_the_tempogram_peaks_at_the_period_of_a_pulse(period_frames: int) -> None:
    pulses = torch.zeros(1, NUM_BANDS, 300)
    pulses[:, :NUM_MEL_BANDS, ::period_frames] = 1.0
    config = ListenerConfig()
    features = Listener(config)(pulses)[0]
    tempogram = features[3 * config.width :]
    assert len(features) == config.num_features
    assert int(tempogram[:20].argmax()) + config.shortest_lag == period_frames
