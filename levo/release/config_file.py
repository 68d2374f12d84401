"""A release's config.yaml as plain data: references are followed, and nothing in it is run as code.

The files use four functions that the release registers as code: `eval`, here arithmetic alone; `concat`; `get_fname`;
and `load_yaml`, here a file inside the release's folder, or the list of structure tags that the release's code ships.
"""

import ast
import operator
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from levo.model.tokenizer import LYRICS_TAGS
from levo.release.errors import ReleaseError

CONFIG_FILE = "config.yaml"
_SHIPPED_LISTS = {"conf/vocab.yaml": list(LYRICS_TAGS)}
_REFERENCE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z0-9_]+)*")
_DEEPEST = 20
_MOST_VALUES = 10_000
_LONGEST_TEXT = 10_000
_OPERATORS: dict[type[ast.AST], Callable[..., Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}


def read_config(folder: Path) -> dict[str, Any]:
    """The config of a release's folder, every reference replaced by its value. Raises `ReleaseError` with the key."""
    path = folder / CONFIG_FILE
    try:
        content = yaml.safe_load(path.read_text())
    except FileNotFoundError:
        raise ReleaseError(f"{folder} holds no {CONFIG_FILE}; expected the folder of a release") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ReleaseError(f"{path} is no plain YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise ReleaseError(f"{path} holds {type(content).__name__}; expected keys and values")
    try:
        resolved: dict[str, Any] = _Resolver(content, folder).resolve(content, "", 0)
    except RecursionError:
        raise ReleaseError(f"{path} refers to itself") from None
    return resolved


def value_at(config: dict[str, Any], key: str, kind: type | tuple[type, ...] = object) -> Any:
    """A value by its dotted key; raises `ReleaseError` that names the key where it is missing or of another kind."""
    found: Any = config
    for part in key.split("."):
        if not isinstance(found, dict) or part not in found:
            raise ReleaseError(f"{CONFIG_FILE} lacks {key}")
        found = found[part]
    if isinstance(found, str) and kind == (int, float):
        # YAML 1.1 reads 1e5 as text, the release's own reader as a number.
        found = _as_number(found)
    if kind is not object and (not isinstance(found, kind) or isinstance(found, bool)):
        kinds = kind if isinstance(kind, tuple) else (kind,)
        expected = " or ".join(one.__name__ for one in kinds)
        raise ReleaseError(f"{CONFIG_FILE}: {key} is {found!r}; expected {expected}")
    return found


def _as_number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


class _Resolver:
    """Replaces `${key}` and `${function:arguments}` in all strings of a config."""

    def __init__(self, root: dict[str, Any], folder: Path) -> None:
        self._root = root
        self._folder = folder
        self._num_values = 0

    def resolve(self, value: Any, key: str, depth: int) -> Any:
        self._num_values += 1
        if self._num_values > _MOST_VALUES:
            raise ReleaseError(f"{CONFIG_FILE}: {key}: references make more than {_MOST_VALUES} values of the file")
        if isinstance(value, dict):
            return {name: self.resolve(one, f"{key}.{name}".lstrip("."), depth) for name, one in value.items()}
        if isinstance(value, list):
            return [self.resolve(one, f"{key}[{place}]", depth) for place, one in enumerate(value)]
        return self._text(value, key, depth) if isinstance(value, str) else value

    def _text(self, text: str, key: str, depth: int) -> Any:
        """The text with its references replaced; one that is nothing but a reference becomes the value itself."""
        if depth > _DEEPEST:
            raise ReleaseError(f"{CONFIG_FILE}: {key} refers to itself, or more than {_DEEPEST} references deep")
        pieces: list[Any] = []
        start = 0
        while (begin := text.find("${", start)) >= 0:
            end = _closing(text, begin, key)
            pieces += [text[start:begin]] if begin > start else []
            pieces.append(self._reference(text[begin + 2 : end], key, depth + 1))
            start = end + 1
        if not pieces:
            return text
        pieces += [text[start:]] if start < len(text) else []
        if len(pieces) == 1:
            return pieces[0]
        whole = "".join(str(piece) for piece in pieces)
        if len(whole) > _LONGEST_TEXT:
            raise ReleaseError(f"{CONFIG_FILE}: {key} becomes a text of {len(whole)} characters")
        return whole

    def _reference(self, inner: str, key: str, depth: int) -> Any:
        name, colon, arguments = inner.partition(":")
        if not colon:
            return self._value(name.strip(), key, depth)
        match name.strip():
            case "eval":
                return arithmetic(str(self._text(arguments, key, depth)).strip(" '\""), key)
            case "concat":
                lists = [self._text(one.strip(), key, depth) for one in _split(arguments)]
                if not all(isinstance(one, list) for one in lists):
                    raise ReleaseError(f"{CONFIG_FILE}: {key} concatenates {lists!r}; expected lists")
                return [item for one in lists for item in one]
            case "get_fname":
                return "default"
            case "load_yaml":
                return self._list_file(str(self._text(arguments, key, depth)).strip(), key)
            case unknown:
                raise ReleaseError(
                    f"{CONFIG_FILE}: {key} calls {unknown!r}; expected eval, concat, get_fname or load_yaml"
                )

    def _value(self, name: str, key: str, depth: int) -> Any:
        if not _REFERENCE.fullmatch(name):
            raise ReleaseError(f"{CONFIG_FILE}: {key} refers to {name!r}; expected a dotted key")
        found: Any = self._root
        for part in name.split("."):
            if not isinstance(found, dict) or part not in found:
                raise ReleaseError(f"{CONFIG_FILE}: {key} refers to {name}, which is not there")
            found = found[part]
        if depth > _DEEPEST:
            raise ReleaseError(f"{CONFIG_FILE}: {key} refers to itself, or more than {_DEEPEST} references deep")
        return self.resolve(found, name, depth)

    def _list_file(self, name: str, key: str) -> list[Any]:
        path = (self._folder / name).resolve()
        if path.is_relative_to(self._folder.resolve()) and path.is_file():
            content = yaml.safe_load(path.read_text())
            if isinstance(content, list):
                return content
            raise ReleaseError(f"{path} holds {type(content).__name__}; {CONFIG_FILE}'s {key} expects a list")
        if name in _SHIPPED_LISTS:
            return _SHIPPED_LISTS[name]
        raise ReleaseError(f"{CONFIG_FILE}: {key} reads {name!r}, which is no file inside {self._folder}")


def arithmetic(text: str, key: str) -> int | float:
    """The value of a sum or product of numbers; anything else is a `ReleaseError`, and is not run."""
    try:
        value: int | float = _number(ast.parse(text, mode="eval").body)
    except (SyntaxError, TypeError, ZeroDivisionError, OverflowError, RecursionError, ValueError):
        raise ReleaseError(
            f"{CONFIG_FILE}: {key} evaluates {text!r}; expected numbers, + - * / // %, int and round"
        ) from None
    return value


def _number(node: ast.AST) -> Any:
    match node:
        case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
            return value
        case ast.BinOp() if type(node.op) in _OPERATORS:
            return _OPERATORS[type(node.op)](_number(node.left), _number(node.right))
        case ast.UnaryOp() if type(node.op) in _OPERATORS:
            return _OPERATORS[type(node.op)](_number(node.operand))
        case ast.Call(func=ast.Name(id="int" | "round" as name), args=[argument], keywords=[]):
            return int(_number(argument)) if name == "int" else round(_number(argument))
    raise TypeError


def _closing(text: str, begin: int, key: str) -> int:
    depth = 0
    for place in range(begin, len(text)):
        if text.startswith("${", place):
            depth += 1
        elif text[place] == "}":
            depth -= 1
            if depth == 0:
                return place
    raise ReleaseError(f"{CONFIG_FILE}: {key} opens ${{ and does not close it: {text!r}")


def _split(arguments: str) -> list[str]:
    """Split at commas outside of references."""
    parts, depth, current = [], 0, ""
    for character in arguments:
        depth += (character == "{") - (character == "}")
        if character == "," and depth == 0:
            parts.append(current)
            current = ""
        else:
            current += character
    return [*parts, current]
