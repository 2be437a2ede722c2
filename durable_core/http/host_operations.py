"""What concerns the whole app or hub (http-and-protocol 1.18, task-hub 10)."""

from __future__ import annotations

from durable_core.http.calls import Call
from durable_core.http.messages import Response, json_response, refusal

_INTERVAL = 1.0
_LONGEST_INTERVAL = 10.0
"""Seconds between two looks at the queues."""


async def make_primary(call: Call) -> Response:
    """makeprimary, with any method."""
    if await call.hubs.make_primary():
        return Response(200)
    return refusal(
        400,
        "Cannot make current app primary: this app does not use the app lease. Set "
        "extensions.durableTask.useAppLease in host.json to true.",
    )


async def scale(call: Call) -> Response:
    """GET scale: for whatever starts and stops workers; ours alone, the extension answers its scale controller only."""
    interval = call.query.seconds("interval")
    report = await call.client.scale(
        call.hubs.limits, interval=min(1.0 if interval is None else interval, _LONGEST_INTERVAL)
    )
    return json_response(200, report.to_json())
