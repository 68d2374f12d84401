"""The command line: instant help, exit codes, and errors of one line."""

import importlib
import importlib.util
import os
import subprocess
import sys
import types
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from jobs import cli

_HEAVY = ("torch", "ray", "mlflow", "deepspeed", "transformers", "scipy", "pyarrow", "pandas")


def _install_command(monkeypatch: pytest.MonkeyPatch, main: Callable[[Sequence[str]], int]) -> None:
    module = types.ModuleType("jobs_of_a_test")
    module.main = main  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "jobs_of_a_test", module)
    monkeypatch.setattr(cli, "COMMANDS", (cli.Command("act", "jobs_of_a_test", "acts"),))


@pytest.mark.parametrize("command", cli.COMMANDS, ids=lambda command: command.name)
def test_every_command_is_a_function_of_its_module(command: cli.Command) -> None:
    assert importlib.util.find_spec(command.module) is not None, f"{command.name}: no module {command.module}"
    assert callable(getattr(importlib.import_module(command.module), command.function))


@pytest.mark.parametrize("words", [["--help"], *([command.name, "--help"] for command in cli.COMMANDS)], ids=" ".join)
def test_help_imports_nothing_heavy(words: list[str]) -> None:
    program = (
        "import sys; from jobs.cli import main; code = main(sys.argv[1:]);"
        f"print(code, sorted(set({_HEAVY!r}) & set(sys.modules)), file=sys.stderr)"
    )
    result = subprocess.run([sys.executable, "-c", program, *words], capture_output=True, text=True, check=True)
    assert result.stderr.splitlines()[-1] == "0 []"
    assert "usage: " in result.stdout


def test_no_command_is_wrong_usage_and_shows_how(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) == cli.WRONG_USAGE
    assert "usage: levo" in capsys.readouterr().out


def test_an_unknown_command_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["sing"]) == cli.WRONG_USAGE
    assert capsys.readouterr().err.startswith("levo: unknown command 'sing'")


@pytest.mark.parametrize("command", cli.COMMANDS, ids=lambda command: command.name)
def test_an_unknown_option_is_wrong_usage(command: cli.Command, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([command.name, "--no-such-option", "1"]) == cli.WRONG_USAGE
    assert capsys.readouterr().err


def test_arguments_and_the_exit_code_are_passed_through(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Sequence[str]] = []
    _install_command(monkeypatch, lambda arguments: seen.append(arguments) or 7)  # type: ignore[func-returns-value]
    assert cli.main(["act", "--seed", "3"]) == 7
    assert seen == [["--seed", "3"]]


def test_a_known_error_is_one_line_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(arguments: Sequence[str]) -> int:
        raise ValueError("sample rate -1 Hz;\n expected a positive number")

    _install_command(monkeypatch, refuse)
    assert cli.main(["act"]) == cli.FAILED
    assert capsys.readouterr().err == "levo: act: sample rate -1 Hz; expected a positive number\n"


def test_an_error_from_a_worker_shows_its_cause_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class RemoteValueError(ValueError):
        def __init__(self, cause: Exception) -> None:
            super().__init__("ray::stage() (pid=1)\n  File ...\nValueError: too long")
            self.cause = cause

    def refuse(arguments: Sequence[str]) -> int:
        raise RemoteValueError(ValueError("song of 700 s; expected at most 600 s"))

    _install_command(monkeypatch, refuse)
    assert cli.main(["act"]) == cli.FAILED
    assert capsys.readouterr().err == "levo: act: song of 700 s; expected at most 600 s\n"


def test_debug_lets_the_error_through(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(arguments: Sequence[str]) -> int:
        raise FileNotFoundError("no corpus")

    _install_command(monkeypatch, refuse)
    with pytest.raises(FileNotFoundError, match="no corpus"):
        cli.main(["act", "--debug"])


def test_an_error_that_nobody_foresaw_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def break_down(arguments: Sequence[str]) -> int:
        raise KeyError("a defect")

    _install_command(monkeypatch, break_down)
    with pytest.raises(KeyError):
        cli.main(["act"])


def test_an_interrupt_says_how_to_go_on(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupt(arguments: Sequence[str]) -> int:
        raise KeyboardInterrupt

    _install_command(monkeypatch, interrupt)
    assert cli.main(["act"]) == cli.INTERRUPTED
    assert "goes on where it was" in capsys.readouterr().err


def test_a_reader_that_leaves_early_gets_no_complaint() -> None:
    script = "from jobs import cli; import sys; sys.exit(cli.main(['doctor', '--json']))"
    command = f'{sys.executable} -c "{script}" | true'
    result = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert result.stderr == ""


def test_a_reader_that_never_read_gets_no_complaint_about_a_line_either() -> None:
    script = "\n".join(
        [
            "import os, sys, types, jobs.cli as cli",
            "module = sys.modules['act'] = types.ModuleType('act')",
            "module.main = lambda _: print('a line') or 0",
            "cli.COMMANDS = (cli.Command('act', 'act', ''),)",
            "reader, writer = os.pipe(); os.dup2(writer, 1); os.close(writer); os.close(reader)",
            "sys.exit(cli.main(['act']))",
        ]
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (1, "")


def test_child_processes_find_the_programs_of_this_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    _install_command(monkeypatch, lambda arguments: 0)
    assert cli.main(["act"]) == 0
    assert str(Path(sys.executable).parent) in os.environ["PATH"].split(os.pathsep)
