"""Saga: several steps that must all happen or all be undone, without a transaction over all of them.

    curl -X POST localhost:7071/api/orchestrators/book_trip -H 'Content-Type: application/json' \\
         -d '{"trip": "42", "hotel": "Ritz", "flight": "LH 1"}'

Each step is retried while its failure may pass. If it fails for good, the steps done so far are undone in reverse
order, and the failure goes on to whoever started the trip. Whatever dies meanwhile, the orchestration goes on where it
was: a trip is never left half booked.
"""

from collections.abc import Generator
from typing import Any

import durable_core as df

bp = df.Blueprint()

RETRIES = df.RetryOptions(first_retry_interval_in_milliseconds=5_000, max_number_of_attempts=3, backoff_coefficient=2.0)


@bp.orchestration_trigger(context_name="context")
def book_trip(context: df.DurableOrchestrationContext) -> Generator[Any, Any, dict[str, str]]:
    """Book the flight and then the hotel, or nothing."""
    trip = context.get_input()
    booked: dict[str, str] = {}
    try:
        for what in ("flight", "hotel"):
            booked[what] = yield context.call_activity_with_retry("book", RETRIES, {"what": what, **trip})
    except Exception:
        for what in reversed(booked):
            yield context.call_activity_with_retry("cancel_booking", RETRIES, booked[what])
        raise
    return booked


@bp.activity_trigger(input_name="order")
def book(order: dict[str, str]) -> str:
    """Stand-in for a booking service; the same trip always gets the same booking, however often it is asked for."""
    if order[order["what"]] == "sold out":
        raise RuntimeError(f"no {order['what']} is left")
    return f"{order['what']} {order[order['what']]} of trip {order['trip']}"


@bp.activity_trigger(input_name="booking")
def cancel_booking(booking: str) -> None:
    """Stand-in for cancelling; cancelling twice does no harm."""
