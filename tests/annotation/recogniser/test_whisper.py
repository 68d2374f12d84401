"""A small random Whisper in the published format gives what `whisper` itself gives; silence and loops give nothing."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from annotation.recogniser.repetition import without_loops
from annotation.recogniser.whisper import WhisperRecogniser, WhisperSettings
from levo.song.timing import TimedWord
from levo.song.waveform import Waveform, mono_waveform

whisper = pytest.importorskip("whisper", reason="the extra `asr` is not installed")
RATE = 16000
DIMS = {
    "n_mels": 80,
    "n_audio_ctx": 1500,
    "n_audio_state": 16,
    "n_audio_head": 2,
    "n_audio_layer": 1,
    "n_vocab": 51865,
    "n_text_ctx": 448,
    "n_text_state": 16,
    "n_text_head": 2,
    "n_text_layer": 2,
}
# A random model is never sure of itself: nothing is drawn again, and nothing passed over.
FRANK = WhisperSettings(language="en", temperatures=(0.0,), logprob_threshold=-1e9, no_speech_threshold=1.1)


def write_tiny_whisper(path: Path, seed: int = 0, **changes: int) -> None:
    """A small random Whisper in the published format."""
    torch.manual_seed(seed)
    dims = DIMS | changes
    model = whisper.Whisper(whisper.model.ModelDimensions(**dims))
    for weights in model.parameters():
        torch.nn.init.normal_(weights, std=0.3)
    torch.save({"dims": dims, "model_state_dict": model.half().state_dict()}, path)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("whisper") / "tiny-random.pt"
    write_tiny_whisper(path)
    return path


def song(seed: int, duration_s: float = 4.0) -> Waveform:
    return mono_waveform(np.random.default_rng(seed).normal(0, 0.1, int(duration_s * RATE)).astype(np.float32), RATE)


def test_words_are_whispers_own(checkpoint: Path) -> None:
    recogniser = WhisperRecogniser.load(checkpoint, replace(FRANK, compression_ratio_threshold=1e9))
    expected: dict[str, Any] = whisper.load_model(str(checkpoint), device="cpu").transcribe(
        song(0).samples[0],
        language="en",
        word_timestamps=True,
        temperature=0.0,
        logprob_threshold=None,
        no_speech_threshold=None,
        compression_ratio_threshold=None,
        condition_on_previous_text=False,
        fp16=False,
    )
    found = recogniser.decode(song(0))
    assert found["segments"]
    assert [segment["tokens"] for segment in found["segments"]] == [
        segment["tokens"] for segment in expected["segments"]
    ]
    words = [word for segment in expected["segments"] for word in segment["words"]]
    assert [word for segment in found["segments"] for word in segment["words"]] == words
    transcript = recogniser.transcribe([song(0)])[0]
    probabilities = [word["probability"] for word in words]
    assert transcript.confidence == pytest.approx(float(np.exp(np.mean(np.log(probabilities)))), rel=1e-6)
    assert transcript.language == "en"
    assert all(phoneme.end_s >= phoneme.start_s for phoneme in transcript.phonemes)


def test_a_song_is_heard_alike_in_any_company_at_any_rate_of_drawing(checkpoint: Path) -> None:
    drawn = WhisperRecogniser.load(checkpoint, replace(FRANK, temperatures=(0.7,), seed=3))
    alone = drawn.transcribe([song(1)])[0]
    state = torch.get_rng_state()
    assert drawn.transcribe([song(2), song(1)])[1] == alone
    assert torch.equal(torch.get_rng_state(), state), "the program's own random numbers stay as they were"
    other = WhisperRecogniser.load(checkpoint, replace(FRANK, temperatures=(0.7,), seed=4))
    assert other.transcribe([song(1)])[0] != alone
    assert other.digest != drawn.digest


def test_the_language_is_heard_where_it_is_not_given(checkpoint: Path) -> None:
    recogniser = WhisperRecogniser.load(checkpoint, replace(FRANK, language=None))
    expected = recogniser.model.detect_language(
        whisper.log_mel_spectrogram(whisper.pad_or_trim(torch.from_numpy(song(0).samples[0])))
    )[1]
    assert recogniser.transcribe([song(0)])[0].language == max(expected, key=expected.get)


def test_silence_has_no_words_and_no_sound_is_refused(checkpoint: Path) -> None:
    recogniser = WhisperRecogniser.load(checkpoint, FRANK)
    silent = mono_waveform(np.zeros(2 * RATE, np.float32), RATE)
    assert recogniser.transcribe([silent])[0].words == ()
    with pytest.raises(ValueError, match="expected at least"):
        recogniser.transcribe([mono_waveform(np.zeros(0, np.float32), RATE)])


def test_a_window_that_is_surely_no_speech_is_passed_over(checkpoint: Path) -> None:
    recogniser = WhisperRecogniser.load(checkpoint, replace(FRANK, no_speech_threshold=0.0, logprob_threshold=0.0))
    assert recogniser.transcribe([song(0)])[0].words == ()


def test_published_alignment_heads_are_taken_by_the_files_name(checkpoint: Path, tmp_path: Path) -> None:
    named = tmp_path / "tiny.pt"
    dims = DIMS | {"n_text_layer": 4, "n_text_head": 6, "n_text_state": 24}
    model = whisper.Whisper(whisper.model.ModelDimensions(**dims))
    torch.save({"dims": dims, "model_state_dict": model.state_dict()}, named)
    heads = WhisperRecogniser.load(named).model.alignment_heads.to_dense()
    model.set_alignment_heads(whisper._ALIGNMENT_HEADS["tiny"])
    assert torch.equal(heads, model.alignment_heads.to_dense())


def test_what_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    path.write_bytes(b"no checkpoint")
    with pytest.raises(ValueError, match=r"model\.pt cannot be read as a Whisper checkpoint"):
        WhisperRecogniser.load(path)
    torch.save({"dims": DIMS, "model_state_dict": {}}, path)
    with pytest.raises(ValueError, match="Missing key"):
        WhisperRecogniser.load(path)
    with pytest.raises(ValueError, match="half precision on 'cpu'; expected a CUDA device"):
        WhisperRecogniser.load(path, half=True)


def row(text: str, word_s: float = 0.3, jitter_s: float = 0.0) -> list[TimedWord]:
    generator = np.random.default_rng(0)
    starts = np.cumsum(generator.uniform(word_s - jitter_s, word_s + jitter_s, len(text.split())))
    pairs = zip(text.split(), starts.tolist(), strict=True)
    return [TimedWord(word, start, start + word_s / 2) for word, start in pairs]


def test_a_loop_of_the_decoder_leaves_one_round() -> None:
    cut = without_loops(row("oh my " + "love me " * 9 + "now"))
    assert [word.word for word in cut.words] == ["oh", "my", "love", "me", "now"]
    assert cut.num_cut == 16


def test_a_chorus_sung_again_and_again_stays() -> None:
    words = row("oh my " + "love me " * 9 + "now", jitter_s=0.1)
    assert without_loops(words).words == tuple(words)
    few = row("love me " * 4)
    assert without_loops(few).words == tuple(few)


def test_what_nobody_can_sing_is_a_loop_however_uneven() -> None:
    assert without_loops(row("la " * 30, word_s=0.04, jitter_s=0.03)).num_cut == 29
