"""Aggregator: an entity that many senders feed with signals, here a timer that takes a reading every ten seconds.

    curl localhost:7071/api/readings/cpu

Signals from all sides are processed one at a time, so the aggregate needs no lock and no database of its own.
"""

import json
import os
from datetime import datetime, timezone
from typing import Any

import azure.functions as func

import durable_core as df

bp = df.Blueprint()

_KEPT = 6


@bp.entity_trigger(context_name="context", entity_name="readings")
class Readings(df.DurableEntity):
    """Count, sum, extremes, and the latest readings of one sensor."""

    def report(self, reading: dict[str, Any]) -> None:
        """Take in ``{"value": number, "time": text}``."""
        seen = self.get_state(default=lambda: {"count": 0, "sum": 0, "min": None, "max": None, "latest": []})
        value = reading["value"]
        seen["count"] += 1
        seen["sum"] += value
        seen["min"] = value if seen["min"] is None else min(seen["min"], value)
        seen["max"] = value if seen["max"] is None else max(seen["max"], value)
        seen["latest"] = [*seen["latest"], reading][-_KEPT:]
        self.set_state(seen)

    def average(self) -> float | None:
        """The mean of all readings, None before the first."""
        seen = self.get_state()
        return seen["sum"] / seen["count"] if seen else None


@bp.timer_trigger(schedule="*/10 * * * * *", arg_name="timer", run_on_startup=False)
@bp.durable_client_input(client_name="client")
async def take_reading(timer: func.TimerRequest, client: df.DurableOrchestrationClient) -> None:
    """Measure the load of this machine and tell the aggregate; nobody waits for it."""
    reading = {"value": round(os.getloadavg()[0], 2), "time": datetime.now(timezone.utc).isoformat(timespec="seconds")}
    await client.signal_entity(df.EntityId("readings", "cpu"), "report", reading)


@bp.route(route="readings/{sensor}", methods=["GET"])
@bp.durable_client_input(client_name="client")
async def read_readings(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    """The aggregate of one sensor; 404 before its first reading."""
    found = await client.read_entity_state(df.EntityId("readings", req.route_params["sensor"]))
    if not found.entity_exists:
        return func.HttpResponse(status_code=404)
    return func.HttpResponse(json.dumps(found.entity_state), mimetype="application/json")
