"""The `levo` command: finds the program of a sub-command, runs it, and turns its errors into one clear line.

A sub-command is a module with `main(arguments) -> int`. It is imported only when it is called, and imports what is
heavy only after it has read its arguments, so that `--help` is instant.
"""

import importlib
import importlib.metadata
import logging
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipelines.observability.logs import are_json, log_as_json, log_context, logs_are_json

SUCCESS = 0
FAILED = 1
WRONG_USAGE = 2
INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class Command:
    """A sub-command: its name, the module that runs it, what it does in a line, and the module's function."""

    name: str
    module: str
    summary: str
    function: str = "main"


COMMANDS: tuple[Command, ...] = (
    Command("demo", "jobs.demo", "the whole loop on this machine: a table, report.html and summary.json"),
    Command("render", "jobs.render", "write the rendered corpus as audio files and metadata"),
    Command("prepare", "jobs.prepare", "turn a folder of recordings into a labelled, tokenized corpus"),
    Command(
        "corpus", "jobs.corpus", "what a corpus holds: status, failures, replay, diff, duplicates, leaks, takedown"
    ),
    Command("import", "jobs.import_release", "read a released checkpoint's folder into a model of ours"),
    Command("export", "jobs.export_release", "write a model in the form of the release it came from"),
    Command("parity", "jobs.parity", "compare our LeLM with recordings of the released code"),
    Command("train", "jobs.train", "stages 1 and 2 of a run; `train sft --from MODEL` and other stages alone"),
    Command("generate", "jobs.generate", "songs for a file of orders, in the fields of the release"),
    Command("sample", "jobs.sample", "candidates from Ray Serve"),
    Command("score", "jobs.score", "judge candidates on every axis"),
    Command("pair", "jobs.pair", "preference pairs from scores"),
    Command("align", "jobs.align", "DPO: one model a preference, and one on all pairs"),
    Command("merge", "jobs.merge", "interpolate the aligned models"),
    Command("evaluate", "jobs.evaluate", "the ablation table over the report prompts"),
    Command("serve", "jobs.serve", "a run's song model over HTTP; --swap NAME changes the model"),
    Command("refresh", "jobs.refresh", "a night: new preferences, training where it pays, the gate"),
    Command("rollback", "jobs.refresh", "make the champion before the champion again", "rollback_main"),
    Command("explain", "jobs.explain", "a model's lineage: trainings, pairs, songs, prompts"),
    Command("report", "jobs.report.command", "write report.html again from a finished run"),
    Command("bench", "jobs.bench", "measured comparisons: alignment against its rivals"),
    Command("submit", "jobs.submit", "a run's step as a Ray job on a cluster; a repeat is recognised", "submit_main"),
    Command("status", "jobs.submit", "how a submitted step stands", "status_main"),
    Command("logs", "jobs.submit", "what a submitted step has printed", "logs_main"),
    Command("stop", "jobs.submit", "stop a submitted step", "stop_main"),
    Command("dispatch", "jobs.dispatch", "on Kubernetes: make the RayJob of a scheduled night and wait for its end"),
    Command("doctor", "jobs.doctor", "what works on this machine, and what the rest lacks"),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one sub-command; 0 is success, 1 a failure, 2 wrong usage."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words
    words = [word for word in words if word != "--debug"]
    if not words or words[0] in ("-h", "--help"):
        print(usage())
        return SUCCESS if words else WRONG_USAGE
    if words[0] == "--version":
        print(f"levo {importlib.metadata.version('levo')}")
        return SUCCESS
    command = next((command for command in COMMANDS if command.name == words[0]), None)
    if command is None:
        return _complain(f"unknown command {words[0]!r}; `levo --help` lists {len(COMMANDS)} of them", WRONG_USAGE)
    _put_environment_on_path()
    try:
        if are_json(os.environ, is_terminal=sys.stderr.isatty()):
            log_as_json()
    except ValueError as error:
        return _complain(str(error), WRONG_USAGE)
    with log_context(run_key=os.environ.get("LEVO_SUBMISSION_ID")):
        return _run(command, words[1:], debug=debug)


def usage() -> str:
    """The help text: every command with its line."""
    width = max(len(command.name) for command in COMMANDS)
    lines = [f"  {command.name:<{width}}  {command.summary}" for command in COMMANDS]
    return "\n".join(
        [
            "usage: levo COMMAND [options]",
            "",
            *lines,
            "",
            "`levo COMMAND --help` lists a command's options; --debug shows the traceback of an error; --version.",
        ]
    )


def _run(command: Command, arguments: list[str], *, debug: bool) -> int:
    """Run a sub-command's `main`; errors that name a value and what is right need no traceback."""
    try:
        code = int(getattr(importlib.import_module(command.module), command.function)(arguments))
        # What a reader that left has not taken is found out here, and not at the interpreter's own last flush.
        sys.stdout.flush()
        return code
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else FAILED if stop.code else SUCCESS
    except KeyboardInterrupt:
        return _complain(f"{command.name} interrupted; the same command goes on where it was", INTERRUPTED)
    except BrokenPipeError:
        # The reader of our output is gone (`| head`): say no more, also at the interpreter's own last flush.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except (ValueError, OSError, ModuleNotFoundError) as error:
        if debug:
            raise
        return _complain(f"{command.name}: {_in_one_line(error)}", FAILED)


def _in_one_line(error: Exception) -> str:
    """An error's own message; one that crossed Ray carries it in `cause`, under a remote traceback."""
    cause = getattr(error, "cause", None)
    message = str(cause if isinstance(cause, Exception) else error)
    return " ".join(message.split()) or type(error).__name__


def _complain(message: str, code: int) -> int:
    if logs_are_json():
        logging.getLogger("levo").error(message)
    else:
        print(f"levo: {message}", file=sys.stderr)
    return code


def _put_environment_on_path() -> None:
    """Let child processes find this environment's programs (ninja, for DeepSpeed) though it was not activated."""
    programs = str(Path(sys.executable).parent)
    path = os.environ.get("PATH", "")
    if programs not in path.split(os.pathsep):
        os.environ["PATH"] = os.pathsep.join([programs, path])
