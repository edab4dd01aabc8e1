"""Who may ask what. Keys are known here by their sha256 only: whoever reads the settings cannot ask with them.

There are two kinds: api keys ask, admin keys also write, and read what is kept about users. Several of each may
hold at a time, so that one can replace another. Without any, everyone may do everything.
"""

import hashlib
import hmac
import ipaddress
import secrets
from collections.abc import Callable, Sequence
from typing import Literal

from service.errors import Forbidden, Unauthorized

Needs = Literal["none", "api", "admin"]
"""What a route asks for."""

Gate = Callable[[bytes | None], None]
"""Given the Authorization header, lets pass or raises `Unauthorized` or `Forbidden`."""

_KIND = "sha256:"
_RANDOM_BYTES = 32


def new_key() -> str:
    """Too random to be guessed, so that a plain, fast hash is enough."""
    return secrets.token_urlsafe(_RANDOM_BYTES)


def hash_of(key: str) -> str:
    """As `[service] api-keys` and `admin-keys` hold it."""
    return _KIND + hashlib.sha256(key.encode()).hexdigest()


class ApiKeys:
    """The keys that hold, given by their hashes."""

    def __init__(self, api: Sequence[str] = (), admin: Sequence[str] = ()) -> None:
        self._api, self._admin = map(_digests, (api, admin))

    @property
    def is_open(self) -> bool:
        """There is no key, so none is asked for."""
        return not (self._api or self._admin)

    def gate(self, needs: Needs) -> Gate | None:
        """What stands before a route; None where everyone may pass."""
        if self.is_open or needs == "none":
            return None
        return self._pass_admin if needs == "admin" else self._pass_any

    def _pass_any(self, authorization: bytes | None) -> None:
        digest = _digest_of(authorization)
        if not (_is_among(digest, self._api) | _is_among(digest, self._admin)):  # no short cut: always as long
            raise Unauthorized("this key is none of those that hold here")

    def _pass_admin(self, authorization: bytes | None) -> None:
        self._pass_any(authorization)
        if not _is_among(_digest_of(authorization), self._admin):
            raise Forbidden("this route takes an admin key; the key given may only ask")


def exposure(host: str, keys: ApiKeys) -> str | None:
    """A warning where whoever reaches `host` from elsewhere may ask anything."""
    if not keys.is_open or _is_loopback(host):
        return None
    return (
        f"everyone who reaches {host} may ask anything, for no keys are set. `flyweight hash-key` makes one; "
        "docs/operations.md says where it goes."
    )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _digests(hashes: Sequence[str]) -> tuple[bytes, ...]:
    return tuple(bytes.fromhex(each.removeprefix(_KIND)) for each in hashes)


def _digest_of(authorization: bytes | None) -> bytes:
    scheme, _, key = (authorization or b"").partition(b" ")
    if scheme.lower() != b"bearer" or not key.strip():
        raise Unauthorized("this route takes a key; send it as `Authorization: Bearer KEY`")
    return hashlib.sha256(key.strip()).digest()


def _is_among(digest: bytes, known: Sequence[bytes]) -> bool:
    """Takes as long whichever it is, and whether it is any."""
    found = False
    for each in known:
        found |= hmac.compare_digest(digest, each)
    return found
