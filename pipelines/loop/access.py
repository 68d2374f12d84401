"""Who may ask a service: whoever is on this machine, or whoever brings the token that it was started with."""

import hashlib
import hmac
import ipaddress
from dataclasses import dataclass

TOKEN_VARIABLE = "LEVO_SERVE_TOKEN"
MIN_TOKEN_LENGTH = 16
_SCHEME = "bearer"


class AccessError(ValueError):
    """A service that would be open to others than it should."""


@dataclass(frozen=True, slots=True)
class Access:
    """The SHA-256 of the token that requests must bring, so that the token itself travels nowhere; None asks nobody."""

    token_sha256: str | None = None

    @classmethod
    def by(cls, token: str | None) -> "Access":
        """The access that a token gives. Raises `AccessError` for one that can be guessed or is no header's text."""
        if not token:
            return cls()
        if len(token) < MIN_TOKEN_LENGTH or not token.isascii() or not token.isprintable() or " " in token:
            raise AccessError(
                f"{TOKEN_VARIABLE} holds {len(token)} characters; expected {MIN_TOKEN_LENGTH} or more printable ASCII "
                "characters without spaces, such as `openssl rand -hex 32` prints"
            )
        return cls(_digest(token))

    def admits(self, authorization: str | None) -> bool:
        """Whether a request's `Authorization` header brings the token; compared in constant time."""
        if self.token_sha256 is None:
            return True
        scheme, _, token = (authorization or "").partition(" ")
        is_right = hmac.compare_digest(_digest(token.strip()), self.token_sha256)
        return is_right and scheme.lower() == _SCHEME

    def check(self, host: str) -> None:
        """Raise `AccessError` where a service without a token would listen to other machines."""
        if self.token_sha256 is None and not is_loopback(host):
            raise AccessError(
                f"to listen at {host} lets other machines in, and nothing would ask who they are; set {TOKEN_VARIABLE} "
                "for the service and its clients, or listen at 127.0.0.1"
            )


NOBODY_IS_ASKED = Access()


def authorization(token: str | None) -> dict[str, str]:
    """The header that a client sends."""
    return {"Authorization": f"Bearer {token}"} if token else {}


def is_loopback(host: str) -> bool:
    """Whether only this machine's own programs reach an address; a name other than localhost is not looked up."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()
