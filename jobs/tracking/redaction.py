"""Takes secrets out of what is written down, by the shape of a text, the name of a value, and the environment.

A secret is what stands before the `@` of an address, what is given under the name of one (`password`, `api_key`, ...,
in options, assignments, JSON and queries), a token of a known make, a private key, and the value of every environment
variable that is named as a secret. Where a text could be read in two ways, more of it is hidden.
"""

import os
import re
from collections.abc import Mapping
from typing import Any

HIDDEN = "***"
_SHORTEST_IN_ENVIRONMENT = 8

_HARMLESS = "".join(f"(?<!{word}[-_. ])" for word in ("fencing", "pad", "bos", "eos", "unk", "mask", "sep", "cls"))
_KEYS = r"(?:api|access|secret|private|signing|encryption|auth|account|shared|checkpoint|hmac)[-_.]?key(?:[-_.]?id)?"
_WORDS = rf"passphrase|pwd|secret|{_HARMLESS}token|credentials?|authorization|signature|sig|cookie|{_KEYS}"
_NAME = rf"(?:(?i:[a-z0-9]*passw(?:or)?d)|(?:(?<![A-Za-z])|(?<=[a-z0-9])(?=[A-Z]))(?i:{_WORDS}))(?![A-Za-z0-9_-])"
_QUOTED = r"\\\"(?:(?!\\\").)*\\\"|\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'"
_VALUE = rf"(?!\*{{3}}(?:[\s,;&\"')\]}}]|$))(?:(?i:bearer|basic|token)\s+)?(?:{_QUOTED}|[^\s\"']+)"

_IS_SECRET_NAME = re.compile(rf"{_NAME}$")
_ADDRESS = re.compile(r"(?P<kept>[A-Za-z][A-Za-z0-9+.-]*://)[^\s/\"'<>]*@")
_QUOTED_OPTION = re.compile(rf"(?P<kept>(?P<quote>[\"'])[-\w.]*{_NAME}\s*[=:]\s*)(?:(?!(?P=quote)).)+(?=(?P=quote))")
_ASSIGNED = re.compile(rf"(?P<kept>{_NAME}(?:\\?[\"'])?\s*(?:=>?|:(?!//))\s*){_VALUE}")
_OPTION = re.compile(rf"(?P<kept>(?<!\S)['\"]?--?[\w.-]*{_NAME}['\"]?\s+)(?!-){_VALUE}")
_BEARER = re.compile(r"(?P<kept>(?i:bearer)\s+)[\w.~+/=-]{8,}")
_KNOWN_MAKE = re.compile(
    r"gh[pousr]_\w{20,}|github_pat_\w{20,}|glpat-[\w-]{20,}|hf_[A-Za-z0-9]{20,}|pypi-[\w-]{20,}|sk-[\w-]{20,}"
    r"|(?:AKIA|ASIA)[0-9A-Z]{16}|AIza[\w-]{35}|xox[abprs]-[\w-]{10,}|eyJ[\w-]{8,}\.[\w-]+\.[\w-]*"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
    re.DOTALL,
)
_WITH_KEPT = (_QUOTED_OPTION, _ASSIGNED, _OPTION, _BEARER)


def redacted(text: str) -> str:
    """The text without its secrets; a text that is redacted already stays as it is."""
    return _without(text, secrets_of_environment())


def redacted_values(content: Any) -> Any:
    """Plain nested values without their secrets; a text under the name of a secret is hidden whole."""
    return _walk(content, secrets_of_environment())


def is_secret_name(name: str) -> bool:
    """Whether a value of this name is a secret: `db.password`, `apiKey`, `RAY_AUTH_TOKEN`; not `max_tokens`."""
    return _IS_SECRET_NAME.search(name) is not None


def refuse_credentials(address: str, option: str, instead: str) -> None:
    """Raise ValueError where an address holds a password: it would be shown wherever the option is."""
    if _ADDRESS.search(address):
        raise ValueError(
            f"{option} is {redacted(address)}, with a user or password in it that everybody who sees the command "
            f"would read; give it as {instead}"
        )


def secrets_of_environment() -> tuple[str, ...]:
    """Values of this process' variables that are named as secrets, the longest first; very short ones are left out."""
    values = {value for name, value in os.environ.items() if is_secret_name(name)}
    return tuple(sorted((one for one in values if len(one) >= _SHORTEST_IN_ENVIRONMENT), key=len, reverse=True))


def _walk(value: Any, known: tuple[str, ...]) -> Any:
    if isinstance(value, str):
        return _without(value, known)
    if isinstance(value, Mapping):
        return {_without(str(name), known): _walk_named(name, entry, known) for name, entry in value.items()}
    return [_walk(entry, known) for entry in value] if isinstance(value, list | tuple) else value


def _walk_named(name: str, value: Any, known: tuple[str, ...]) -> Any:
    return HIDDEN if isinstance(value, str) and is_secret_name(name) else _walk(value, known)


def _without(text: str, known: tuple[str, ...]) -> str:
    for secret in known:
        text = text.replace(secret, HIDDEN)
    text = _ADDRESS.sub(rf"\g<kept>{HIDDEN}@", text)
    text = _KNOWN_MAKE.sub(HIDDEN, text)
    for pattern in _WITH_KEPT:
        text = pattern.sub(rf"\g<kept>{HIDDEN}", text)
    return text
