"""`levo doctor`: sees what is installed, names what is not, and fails only where the demo could not run."""

import json
from pathlib import Path

import pytest

from jobs import doctor


def _findings(capsys: pytest.CaptureFixture[str], out: Path) -> tuple[int, dict[str, dict[str, object]]]:
    code = doctor.main(["--json", "--out", str(out)])
    findings = json.loads(capsys.readouterr().out)["findings"]
    return code, {f"{finding['what']}: {finding['name']}": finding for finding in findings}


def test_an_installed_backend_is_usable_with_its_version(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    _, findings = _findings(capsys, tmp_path)
    assert findings["training: DeepSpeed"]["usable"] is True
    assert "deepspeed 0.19" in str(findings["training: DeepSpeed"]["remark"])


def test_an_absent_backend_says_how_to_get_it_and_fails(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    absent = doctor.Backend("sung voice", "a voice nobody has", ("no_such_voice",), "demo")
    monkeypatch.setattr(doctor, "BACKENDS", (absent,))
    code, findings = _findings(capsys, tmp_path)
    assert code == 1
    finding = findings["sung voice: a voice nobody has"]
    assert finding["usable"] is False
    assert finding["remark"] == "no no_such_voice: pip install 'levo[demo]'"


def test_a_machine_without_a_compiler_is_told_the_package(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    code, findings = _findings(capsys, tmp_path)
    assert code == 1
    assert findings["compile tools: g++"]["remark"] == "missing: apt-get install g++"


def test_a_folder_that_does_not_exist_yet_is_looked_at_through_its_parent(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    _, findings = _findings(capsys, tmp_path / "not" / "yet")
    assert "GiB" in str(findings["machine: disk"]["remark"])
