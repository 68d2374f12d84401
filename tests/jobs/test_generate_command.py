"""`levo generate`: songs as they finish, nothing twice, and one failing order loses itself alone."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from jobs import cli
from levo.codec.stems import Stems
from levo.model.store import load_model
from levo.song.tokens import TokenGrid
from levo.song.waveform import Waveform, mono_waveform
from pipelines.generation import in_process
from pipelines.generation.in_process import InProcessSinger, SingingConfig
from pipelines.generation.order_file import read_orders
from pipelines.generation.prompts import PromptSource
from pipelines.generation.results import ResultsFolder, SongParts
from pipelines.generation.run import GenerationConfig, GenerationOutcome, generate
from pipelines.generation.singer import GenerationError

LYRICS = "[verse] sun and moon."


def order(idx: str, **fields: Any) -> dict[str, Any]:
    return {"idx": idx, "gt_lyric": LYRICS, **fields}


@pytest.fixture
def order_file(tmp_path: Path) -> Path:
    np.save(tmp_path / "prompt.npy", np.arange(24, dtype=np.int64).reshape(1, 3, 8))
    orders = [
        order("one"),
        order("two", seed=7, prompt_codes_path="prompt.npy"),
        order("lost", prompt_codes_path="nowhere.npy"),
        order("long", gt_lyric="[verse] " + "sun " * 40 + "."),
        order("three", note="mine"),
    ]
    file = tmp_path / "orders.jsonl"
    file.write_text("".join(json.dumps(one) + "\n" for one in orders))
    return file


@pytest.fixture
def command(order_file: Path, tiny_model: Path, tmp_path: Path) -> list[str]:
    return ["generate", str(order_file), str(tmp_path / "out"), "--model", str(tiny_model), "--max-duration-s", "0.8"]


def results(folder: Path) -> dict[str, Any]:
    return {row["idx"]: row for row in map(json.loads, (folder / "results.jsonl").read_text().splitlines())}


def test_each_order_has_a_song_or_the_reason_why_not(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(command) == 1
    out = capsys.readouterr().out
    assert "no --codec: songs are kept as tokens" in out
    assert "3 drawn, 0 done before, 2 failed" in out
    found = results(tmp_path / "out")
    assert list(found) == ["one", "two", "lost", "long", "three"]
    assert "nowhere.npy" in found["lost"]["error"]
    assert "the model takes 16" in found["long"]["error"]
    assert found["three"]["note"] == "mine"
    for idx in ("one", "two", "three"):
        codes = np.load(found[idx]["tokens_path"])
        assert codes.shape[0] == 3
        assert 1 <= codes.shape[1] <= 20
        assert found[idx]["wav_path"] is None


def test_a_rerun_skips_what_is_done_and_redoes_what_changed(
    command: list[str], order_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cli.main(command)
    first = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out" / "tokens").iterdir()}
    (tmp_path / "out" / "tokens" / "three.npy").unlink()
    lines = [json.loads(line) for line in order_file.read_text().splitlines()]
    order_file.write_text(
        "".join(json.dumps({**line, "seed": 9} if line["idx"] == "two" else line) + "\n" for line in lines)
    )
    capsys.readouterr()
    assert cli.main(command) == 1
    assert "2 drawn, 1 done before, 2 failed" in capsys.readouterr().out
    again = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out" / "tokens").iterdir()}
    assert [name for name in first if first[name] == again[name]] == ["one.npy"]


def test_a_song_depends_on_its_own_line_alone(command: list[str], order_file: Path, tmp_path: Path) -> None:
    cli.main(command)
    together = np.load(tmp_path / "out" / "tokens" / "three.npy")
    order_file.write_text(order_file.read_text().splitlines()[-1] + "\n")
    command[2] = str(tmp_path / "alone")
    assert cli.main(command) == 0
    np.testing.assert_array_equal(np.load(tmp_path / "alone" / "tokens" / "three.npy"), together)


def test_wrong_orders_stop_everything_before_it_begins(
    command: list[str], order_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    order_file.write_text(json.dumps(order("good")) + "\n" + json.dumps(order("../bad")) + "\n")
    assert cli.main(command) == 1
    assert "orders.jsonl:2:9: idx is '../bad'" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["--max-duration-s", "99"], "this model takes 0.04 to"),
        (["--rows", "-1"], "--rows is -1; expected a number of rows, or 0"),
        (["--rows", "4000000"], "4000000 rows of 20 frames do not fit into the memory; "),
    ],
)
def test_settings_that_fit_no_song_are_named(
    change: list[str], message: str, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([*command, *change]) == 1
    assert message in capsys.readouterr().err


def test_rows_may_be_as_many_as_the_memory_holds(
    command: list[str], order_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(in_process, "available_bytes", lambda device: 1000)
    assert cli.main([*command, "--rows", "0"]) == 1
    assert (
        "one song of 20 frames needs 0.00 GB beside the weights, 0.00 GB more than there is" in capsys.readouterr().err
    )
    monkeypatch.undo()
    cli.main([*command, "--rows", "0"])
    assert " drawn, 0 done before, " in capsys.readouterr().out


def test_layers_that_come_one_by_one_and_narrow_weights_change_the_memory_alone_or_the_songs(
    command: list[str], tmp_path: Path
) -> None:
    for name, options in {"out": [], "low": ["--low-memory"], "bf16": ["--dtype", "bfloat16"]}.items():
        cli.main([*command[:2], str(tmp_path / name), *command[3:], *options])
    whole, low, narrow = (np.load(tmp_path / name / "tokens" / "three.npy") for name in ("out", "low", "bf16"))
    np.testing.assert_array_equal(low, whole)
    assert narrow.shape[0] == 3


def test_a_device_that_is_not_here_is_named(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([*command, "--device", "cuda:99"]) == 1
    assert "device 'cuda:99': this machine has" in capsys.readouterr().err
    assert cli.main([*command, "--device", "abacus"]) == 1
    assert "device 'abacus'" in capsys.readouterr().err


def test_graphs_are_for_cuda_devices(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([*command, "--cuda-graphs"]) == 1
    assert "--cuda-graphs with --device cpu: graphs replay" in capsys.readouterr().err


class SteadyCodec:
    """Decodes each frame to 640 samples: the vocal to 0.1, the accompaniment to 0.2."""

    digest = "steady"
    sample_rate_hz = 16_000
    frame_rate_hz = 25

    def __init__(self, code_size: int = 24) -> None:
        self.code_size = code_size

    def decode(self, tokens: TokenGrid) -> Stems:
        sounds = (np.full(tokens.num_frames * 640, level, np.float32) for level in (0.1, 0.2, 0.3))
        return Stems(*(mono_waveform(sound, self.sample_rate_hz) for sound in sounds))

    def decode_batch(self, songs: Sequence[TokenGrid]) -> list[Stems]:
        return [self.decode(song) for song in songs]

    def decode_mixed(self, tokens: TokenGrid) -> Waveform:
        return self.decode(tokens).mixture

    def encode(self, stems: Stems) -> TokenGrid:
        raise NotImplementedError

    def encode_batch(self, songs: Sequence[Stems]) -> list[TokenGrid]:
        raise NotImplementedError


def drawn(order_file: Path, model: Path, out: Path, parts: SongParts, codec: SteadyCodec) -> GenerationOutcome:
    loaded = load_model(model)
    prompts = PromptSource(24, 6, order_file.parent, None, None, None)
    singer = InProcessSinger(model, loaded, SingingConfig(max_duration_s=0.8))
    return generate(
        read_orders(order_file),
        singer,
        GenerationConfig(parts),
        prompts,
        codec,
        ResultsFolder(out),
        lambda _done, _all: None,
    )


@pytest.mark.parametrize(
    ("parts", "levels"),
    [
        (SongParts.MIXED, {"one.flac": 0.3}),
        (SongParts.VOCAL, {"one.flac": 0.1}),
        (SongParts.ACCOMPANIMENT, {"one.flac": 0.2}),
        (SongParts.SEPARATE, {"one.flac": 0.3, "one_vocal.flac": 0.1, "one_bgm.flac": 0.2}),
    ],
)
def test_with_a_codec_the_asked_parts_are_made_audible(
    parts: SongParts, levels: dict[str, float], order_file: Path, tiny_model: Path, tmp_path: Path
) -> None:
    order_file.write_text(json.dumps(order("one")) + "\n")
    assert drawn(order_file, tiny_model, tmp_path / "out", parts, SteadyCodec()).num_drawn == 1
    heard = {path.name: float(soundfile.read(path)[0].mean()) for path in (tmp_path / "out" / "audios").iterdir()}
    assert heard == pytest.approx(levels, abs=1e-3)
    assert drawn(order_file, tiny_model, tmp_path / "out", parts, SteadyCodec()).num_skipped == 1


def test_a_codec_of_other_codes_and_names_that_collide_are_refused(
    order_file: Path, tiny_model: Path, tmp_path: Path
) -> None:
    with pytest.raises(GenerationError, match="the codec has 512 codes and the model 24"):
        drawn(order_file, tiny_model, tmp_path / "out", SongParts.MIXED, SteadyCodec(512))
    order_file.write_text(json.dumps(order("a")) + "\n" + json.dumps(order("a_bgm")) + "\n")
    with pytest.raises(GenerationError, match="'a_bgm' is also the name of a stem of 'a'"):
        drawn(order_file, tiny_model, tmp_path / "out", SongParts.SEPARATE, SteadyCodec())
