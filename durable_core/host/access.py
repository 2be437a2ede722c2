"""Who may ask the host for what (functions-host 6.3, http-and-protocol 9).

A host that only this machine can reach is open, but no web page may drive it: requests with the name of another host
(DNS rebinding), and requests that pages of other sites send, are refused. Any other host asks for a key.
"""

from __future__ import annotations

import hmac
import ipaddress
import re
from collections.abc import Collection, Iterable
from enum import Enum
from typing import Protocol
from urllib.parse import parse_qsl, urlsplit

from durable_core.errors import ConfigurationError, StorageError
from durable_core.host.cors import Cors
from durable_core.host.function_keys import FunctionKeyRings
from durable_core.host.keys import SYSTEM_KEY, HostKeys, KeyRing
from durable_core.http.messages import Request, Response, refusal

_UNAUTHORIZED = Response(401, headers={"WWW-Authenticate": "Bearer"})
_AUTHORITY = re.compile(r"(?P<name>\[[0-9a-fA-F:.]+\]|[^:\[\]/?#@\s]+)(?::\d*)?")


class Level(Enum):
    """What a request needs."""

    ANONYMOUS = "anonymous"
    FUNCTION = "function"
    SYSTEM = "system"
    """The management API."""
    ADMIN = "admin"


class Access(Protocol):
    """Decides about every request, before its body is read."""

    async def refuse(self, request: Request, level: Level, function: str | None = None) -> Response | None:
        """The answer to a request that is not allowed; None if it is.

        Args:
            function: name of the function that would answer; None if it is the host itself.
        """

    async def code(self) -> str | None:
        """The key that links to the management API must carry; None if they need none."""


class EverybodyAccess:
    """No checks at all (``--no-auth`` on an address that others can reach)."""

    async def refuse(self, request: Request, level: Level, function: str | None = None) -> Response | None:
        return None

    async def code(self) -> str | None:
        return None


class LocalAccess:
    """For a host on a loopback address: no keys, but no foreign Host and no foreign Origin.

    Args:
        cors: its origins are not foreign.
        allowed: further host names that are not foreign.
    """

    def __init__(self, cors: Cors, allowed: Collection[str] = ()) -> None:
        self._cors = cors
        self._allowed = frozenset(name.lower() for name in allowed)

    async def refuse(self, request: Request, level: Level, function: str | None = None) -> Response | None:
        host = request.headers.get("host")
        if host and not self._is_ours(_name(host)):
            return refusal(
                403,
                f"This host is not reached under the name '{_shown(host)}'. Use localhost, or start it with "
                "--allow-host NAME.",
            )
        origin = request.headers.get("origin")
        if origin is not None:
            if not (self._cors.allows(origin) or self._is_ours(_name(_authority(origin)))):
                return refusal(
                    403,
                    f"Pages of '{_shown(origin)}' may not use this host. Put the origin into Host.CORS of "
                    "local.settings.json, or start the host with --allow-host NAME.",
                )
        elif self._is_embedded(request) and not self._cors.allows("*"):
            return refusal(403, "A page of another site may not embed what this host serves.")
        return None

    async def code(self) -> str | None:
        return None

    def _is_ours(self, name: str | None) -> bool:
        return name is not None and (name in self._allowed or is_loopback(name))

    @staticmethod
    def _is_embedded(request: Request) -> bool:
        """A browser fetches it for a page of another site, as an image or script, which sends no Origin."""
        site, mode = (request.headers.get(f"sec-fetch-{what}") for what in ("site", "mode"))
        return site == "cross-site" and mode != "navigate"


class KeyedAccess:
    """Requests need a key of the level that they ask for; the master key opens everything.

    Args:
        functions: keys that open one function each; None if there are none.
    """

    def __init__(self, keys: KeyRing[HostKeys], functions: FunctionKeyRings | None = None) -> None:
        self._keys = keys
        self._functions = functions

    async def refuse(self, request: Request, level: Level, function: str | None = None) -> Response | None:
        if level is Level.ANONYMOUS:
            return None
        given = key_of(request)
        if given is None:
            return _UNAUTHORIZED
        try:
            if _is_one_of(given, _accepted(await self._keys.current(), level)):
                return None
            if level is Level.FUNCTION and function is not None and self._functions is not None:
                own = await self._functions.current(function)
                return None if _is_one_of(given, own.values()) else _UNAUTHORIZED
        except (StorageError, ConfigurationError):
            return refusal(503, "The keys of this host cannot be read at the moment; try again later.")
        return _UNAUTHORIZED

    async def code(self) -> str | None:
        return (await self._keys.current()).system


def _accepted(keys: HostKeys, level: Level) -> list[str]:
    if level is Level.FUNCTION:
        return [keys.master, *keys.functions.values()]
    return [keys.master, keys.systems[SYSTEM_KEY]] if level is Level.SYSTEM else [keys.master]


def _is_one_of(given: str, accepted: Iterable[str]) -> bool:
    """Compared in constant time, and with all of them, so that the time tells nothing."""
    found = False
    for key in accepted:
        found |= hmac.compare_digest(given.encode("utf-8", "surrogatepass"), key.encode())
    return found


def key_of(request: Request) -> str | None:
    """The key that a request carries: the header wins over the query."""
    header = request.headers.get("x-functions-key")
    if header:
        return header
    values = [value for name, value in parse_qsl(request.query) if name.lower() == "code"]
    return values[0] if values else None


def is_loopback(name: str) -> bool:
    """``name`` is an address of this machine that no other can reach."""
    lowered = name.lower().rstrip(".")
    if lowered == "localhost" or lowered.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(lowered.strip("[]")).is_loopback
    except ValueError:
        return False


def _authority(origin: str) -> str:
    """The authority of an origin; empty if it has none, as the origin ``null``."""
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return ""


def _name(authority: str) -> str | None:
    """The host name in ``name:port``, in lower case; None if it is no such text."""
    found = _AUTHORITY.fullmatch(authority)
    return found["name"].lower() if found else None


def _shown(text: str) -> str:
    return text[:100]
