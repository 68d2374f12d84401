"""`levo doctor`: what works on this machine, and what each part that does not is lacking."""

import importlib.metadata
import importlib.util
import json
import os
import shutil
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import tyro

_GIB = 2**30
_DEMO_MEMORY_GIB = 8
_DEMO_DISK_GIB = 5
_DEMO_CORES = 2


@dataclass(frozen=True, slots=True)
class Backend:
    """A way to do one of the project's jobs: the modules it imports and the extra that installs them."""

    capability: str
    name: str
    modules: tuple[str, ...]
    extra: str
    is_needed: bool = True
    """By the demo; the others are real models' libraries, each given a path to its weights."""


BACKENDS = (
    Backend("sung voice", "espeak-ng and WORLD", ("espeakng_loader", "pyworld"), "demo"),
    Backend("tokens", "embedded codec", ("torch", "scipy", "soxr"), ""),
    Backend("separation", "REPET-SIM and HPSS", ("scipy",), ""),
    Backend("lyrics and phonemes", "CTC recogniser", ("torch",), ""),
    Backend("lyrics and phonemes", "PocketSphinx, the held-out judge", ("pocketsphinx",), "demo"),
    Backend("text-music similarity", "two towers", ("torch",), ""),
    Backend("text-music similarity", "LAION-CLAP", ("transformers", "librosa"), "clap", False),
    Backend(
        "text-music similarity", "MuQ-MuLan", ("transformers", "librosa", "muq", "easydict", "einops"), "mulan", False
    ),
    Backend("separation", "HTDemucs", ("demucs",), "separation", False),
    Backend("structure", "All-In-One", ("demucs", "allin1", "omegaconf"), "structure", False),
    Backend("lyrics and phonemes", "Whisper", ("whisper",), "asr", False),
    Backend("lyrics and phonemes", "Chinese", ("pypinyin",), "asr", False),
    Backend("lyrics and phonemes", "Japanese", ("pyopenjtalk",), "asr", False),
    Backend("lyrics and phonemes", "Spanish, French, German", ("espeakng_loader",), "demo", False),
    Backend("tags", "zero-shot by LAION-CLAP", ("transformers", "librosa"), "clap", False),
    Backend("musicality", "Audiobox Aesthetics", ("audiobox_aesthetics",), "aesthetics", False),
    Backend("musicality", "SongEval", ("transformers", "librosa", "muq", "easydict", "einops"), "mulan", False),
    Backend("musicality", "Bradley-Terry reward model", ("torch",), ""),
    Backend("flows, training, serving", "Ray", ("ray",), "train"),
    Backend("training", "DeepSpeed", ("deepspeed", "ninja"), "train"),
    Backend("tracking", "MLflow", ("mlflow",), "train"),
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at: whether it is there, and if not what to do; `needed` by the demo."""

    what: str
    name: str
    usable: bool
    needed: bool
    remark: str


@dataclass(frozen=True, slots=True)
class DoctorOptions:
    """Say which backends are usable here and what each of the others lacks; fails where the demo could not run."""

    json: bool = False
    """Print one JSON object instead of a table."""
    out: Path = Path()
    """Folder whose disk is looked at."""


def main(arguments: Sequence[str]) -> int:
    """Look, print, and return 1 where something that the demo needs is absent."""
    options = tyro.cli(DoctorOptions, prog="levo doctor", args=list(arguments))
    owners = importlib.metadata.packages_distributions()
    backends = [_backend(backend, owners) for backend in BACKENDS]
    findings = [*backends, *_compile_tools(), _torchaudio(), *_machine(options.out)]
    if options.json:
        print(json.dumps({"findings": [asdict(finding) for finding in findings]}, indent=1))
    else:
        _print_table(findings)
    return int(any(finding.needed and not finding.usable for finding in findings))


def _backend(backend: Backend, owners: Mapping[str, Sequence[str]]) -> Finding:
    """Whether a backend's modules are installed; they are not imported, which would take long and prove little."""
    missing = [module for module in backend.modules if importlib.util.find_spec(module) is None]
    if not missing:
        return Finding(backend.capability, backend.name, True, backend.is_needed, _versions(backend.modules, owners))
    source = f"levo[{backend.extra}]" if backend.extra else "levo"
    remark = f"no {', '.join(missing)}: pip install '{source}'"
    return Finding(backend.capability, backend.name, False, backend.is_needed, remark)


def _versions(modules: tuple[str, ...], owners: Mapping[str, Sequence[str]]) -> str:
    names = [owners[module][0] for module in modules if module in owners]
    return ", ".join(f"{name} {importlib.metadata.version(name)}" for name in names)


def _compile_tools() -> list[Finding]:
    """What DeepSpeed compiles its op with at the first start of a training."""
    headers = Path(sysconfig.get_path("include")) / "Python.h"
    ninja = shutil.which("ninja") or shutil.which("ninja", path=str(Path(sys.executable).parent))
    tools = (
        ("g++", shutil.which("g++"), "apt-get install g++"),
        ("ninja", ninja, "apt-get install ninja-build"),
        ("Python headers", str(headers) if headers.exists() else None, "apt-get install python3-dev"),
    )
    return [
        Finding("compile tools", name, bool(found), True, found or f"missing: {line}") for name, found, line in tools
    ]


def _torchaudio() -> Finding:
    absent = importlib.util.find_spec("torchaudio") is None
    remark = "absent, as it must be" if absent else "its presence breaks transformers on CPU: pip uninstall torchaudio"
    return Finding("environment", "no torchaudio", absent, True, remark)


def _machine(out: Path) -> list[Finding]:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / _GIB
    disk_gib = shutil.disk_usage(_nearest_folder(out)).free / _GIB
    cuda = shutil.which("nvidia-smi") is not None
    demo = "the demo needs"
    return [
        Finding("machine", "cores", cores >= _DEMO_CORES, False, f"{cores}; the demo is made for {_DEMO_CORES}"),
        Finding(
            "machine",
            "memory",
            memory_gib >= _DEMO_MEMORY_GIB,
            True,
            f"{memory_gib:.1f} GiB; {demo} {_DEMO_MEMORY_GIB}",
        ),
        Finding(
            "machine", "disk", disk_gib >= _DEMO_DISK_GIB, True, f"{disk_gib:.1f} GiB free; {demo} {_DEMO_DISK_GIB}"
        ),
        Finding(
            "machine", "CUDA", cuda, False, "found nvidia-smi" if cuda else "no nvidia-smi: everything runs on CPU"
        ),
    ]


def _nearest_folder(path: Path) -> Path:
    """The path itself, or the first folder above it that exists."""
    path = path.absolute()
    return next(folder for folder in (path, *path.parents) if folder.exists())


def _print_table(findings: Sequence[Finding]) -> None:
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table

    table = Table("", "for", "what", "remark", box=SIMPLE)
    for finding in findings:
        mark = "[green]ok[/]" if finding.usable else "[red]missing[/]" if finding.needed else "[dim]not here[/]"
        table.add_row(mark, finding.what, finding.name, finding.remark.replace("[", r"\["))
    Console().print(table)
