"""What concerns the whole app (http-and-protocol 1.18)."""

from __future__ import annotations

from durable_core.http.calls import Call
from durable_core.http.messages import Response, refusal


async def make_primary(call: Call) -> Response:
    """makeprimary, with any method."""
    if await call.hubs.make_primary():
        return Response(200)
    return refusal(
        400,
        "Cannot make current app primary: this app does not use the app lease. Set "
        "extensions.durableTask.useAppLease in host.json to true.",
    )
