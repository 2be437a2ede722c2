"""Cross-origin requests: who may read the answers, as ``Host.CORS`` in local.settings.json says (functions-host 9)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from durable_core.errors import ConfigurationError
from durable_core.http.messages import Request, Response

_ANY = "*"
_EXPOSED = "Location, Retry-After, x-ms-continuation-token"
_PREFLIGHT_SECONDS = "600"


@dataclass(frozen=True, slots=True)
class Cors:
    """Origins whose pages may use this host.

    Attributes:
        origins: scheme and authority in lower case, or ``*``.
        credentials: their requests may carry cookies.
    """

    origins: frozenset[str] = frozenset()
    credentials: bool = False

    def allows(self, origin: str) -> bool:
        return _ANY in self.origins or origin.lower() in self.origins

    def preflight(self, request: Request) -> Response | None:
        """The answer to a browser that asks before it sends; None if the request is something else."""
        origin = request.headers.get("origin")
        method = request.headers.get("access-control-request-method")
        if request.method != "OPTIONS" or origin is None or method is None or not self.allows(origin):
            return None
        allowed = {"Access-Control-Allow-Methods": method, "Access-Control-Max-Age": _PREFLIGHT_SECONDS}
        wanted = request.headers.get("access-control-request-headers")
        if wanted:
            allowed["Access-Control-Allow-Headers"] = wanted
        return Response(204, headers={**allowed, **self.headers(request)})

    def headers(self, request: Request) -> Mapping[str, str]:
        """What an answer to ``request`` carries beside its own headers."""
        if not self.origins:
            return {}
        origin = request.headers.get("origin")
        if origin is None or not self.allows(origin):
            return {"Vary": "Origin"}
        found = {
            "Access-Control-Allow-Origin": _ANY if _ANY in self.origins else origin,
            "Access-Control-Expose-Headers": _EXPOSED,
            "Vary": "Origin",
        }
        if self.credentials:
            found["Access-Control-Allow-Credentials"] = "true"
        return found


def read_cors(origins: str | None, credentials: bool) -> Cors:
    """The settings ``CORS`` (origins separated by commas, or ``*``) and ``CORSCredentials``.

    Raises:
        ConfigurationError: every page of the web would get the user's cookies.
    """
    named = frozenset(item.strip().rstrip("/").lower() for item in (origins or "").split(",")) - {""}
    if _ANY in named and credentials:
        raise ConfigurationError(
            "local.settings.json: Host.CORS is * and Host.CORSCredentials is true, which would let every page on the "
            "web use this host with the user's cookies. Name the origins, or leave CORSCredentials out."
        )
    return Cors(named, credentials)
