"""Versions: change an orchestrator while instances of its old code are still running.

    curl -X POST localhost:7071/api/orchestrators/ship_order -H 'Content-Type: application/json' -d '{"order": 7}'

A replay runs today's code over yesterday's history, so a new step in the middle would not fit the instances that began
before it. Every instance keeps the version it was started with (``defaultVersion`` in host.json, or ``version=`` of
``start_new``): code asks for it and takes the old way for the old ones.
"""

from collections.abc import Generator
from typing import Any

import durable_core as df

bp = df.Blueprint()


@bp.orchestration_trigger(context_name="context")
def ship_order(context: df.DurableOrchestrationContext) -> Generator[Any, Any, list[str]]:
    """Reserve, check for fraud (since version 2.0), and ship."""
    order = context.get_input()
    steps = [(yield context.call_activity("reserve_items", order))]
    yield context.wait_for_external_event("Paid")
    if _major(context.version) >= 2:
        steps.append((yield context.call_activity("check_for_fraud", order)))
    steps.append((yield context.call_activity("ship_items", order)))
    return steps


def _major(version: str | None) -> int:
    """Instances from before the first version have none."""
    return int(version.split(".")[0]) if version else 1


@bp.activity_trigger(input_name="order")
def reserve_items(order: dict[str, Any]) -> str:
    """Stand-in for the warehouse."""
    return f"reserved {order['order']}"


@bp.activity_trigger(input_name="order")
def check_for_fraud(order: dict[str, Any]) -> str:
    """Stand-in for the check that came later."""
    return f"checked {order['order']}"


@bp.activity_trigger(input_name="order")
def ship_items(order: dict[str, Any]) -> str:
    """Stand-in for the parcel service."""
    return f"shipped {order['order']}"
