"""What every file of the repository must have, and what none may hold."""

import ast
import re
import subprocess
from pathlib import Path

import pytest

_REPOSITORY = Path(__file__).resolve().parents[2]
_PACKAGES = ("levo", "annotation", "reward", "pipelines", "jobs")
_TEXT_SUFFIXES = {".py", ".toml", ".txt", ".md", ".yaml", ".yml", ".sh", ".json", ".cfg", ".html", ""}
_FORBIDDEN = {
    "a machine's own path": re.compile(r"(?<![\w.])/(?:work|home|root|Users)/\w"),
    "a registry's address": re.compile(r"pypi\.org|pythonhosted\.org|download\.pytorch\.org"),
    "a download address of a lock file": re.compile(
        r"^\s*(?:url|resolved)\s*[=:]\s*.https?://\S+\.(?:whl|zip|tgz|tar\.gz)", re.MULTILINE
    ),
}


def _repository_files() -> list[Path]:
    """Files that git would commit; the whole tree where there is no git."""
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=_REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    files = [_REPOSITORY / line for line in listing.stdout.splitlines()]
    return [file for file in files if file.is_file() and file.suffix in _TEXT_SUFFIXES]


@pytest.mark.parametrize("package", _PACKAGES)
def test_every_module_opens_with_one_sentence_on_what_it_is(package: str) -> None:
    for module in sorted((_REPOSITORY / package).rglob("*.py")):
        docstring = ast.get_docstring(ast.parse(module.read_text()))
        assert docstring, f"{module.relative_to(_REPOSITORY)} has no docstring"
        first_line = docstring.splitlines()[0]
        assert len(first_line) > 20, f"{module.relative_to(_REPOSITORY)}: {first_line!r}"
        assert docstring.split("\n\n")[0].rstrip().endswith((".", "!", "?", ":")), f"{module}: {first_line!r}"


@pytest.mark.parametrize("what", _FORBIDDEN)
def test_no_file_names(what: str) -> None:
    found = []
    for file in _repository_files():
        if file == Path(__file__).resolve():
            continue
        match = _FORBIDDEN[what].search(file.read_text(errors="replace"))
        if match:
            found.append(f"{file.relative_to(_REPOSITORY)}: {match[0]}")
    assert found == []


def test_nothing_forks() -> None:
    # The child of a process that Ray is connected in shares its sockets: what it drops there is written into them.
    forks = re.compile(r"os\.fork\(|(?:get_context|set_start_method)\(\W*fork")
    modules = [module for folder in (*_PACKAGES, "tests") for module in (_REPOSITORY / folder).rglob("*.py")]
    assert [module.name for module in modules if forks.search(module.read_text())] == []


def test_constraints_pin_names_and_versions_and_nothing_else() -> None:
    lines = (_REPOSITORY / "constraints.txt").read_text().splitlines()
    wrong = [line for line in lines if not re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.!]*", line)]
    assert wrong == []
    assert lines == sorted(lines, key=str.lower)


def test_torchaudio_is_pinned_nowhere() -> None:
    # Its presence beside a CPU torch makes every transformers model fail to import.
    assert "torchaudio" not in (_REPOSITORY / "constraints.txt").read_text()
    assert "torchaudio>=" not in (_REPOSITORY / "pyproject.toml").read_text()


def test_the_documentation_names_only_files_that_exist() -> None:
    missing = []
    for page in [*_REPOSITORY.glob("*.md"), *(_REPOSITORY / "docs").rglob("*.md")]:
        text = page.read_text()
        links = re.findall(r"\]\(([^)#:]+)\)", text)
        paths = re.findall(r"`((?:levo|annotation|reward|pipelines|jobs|infra|tests|docs)/[\w/]+(?:\.\w+)?)`", text)
        targets = [page.parent / link for link in links] + [_REPOSITORY / path for path in paths]
        missing += [f"{page.name}: {target.name}" for target in targets if not target.exists()]
    assert missing == []
