"""Eternal orchestration: do something again and again, for ever, without a history that grows for ever.

    curl -X POST localhost:7071/api/orchestrators/eternal_cleanup/cleanup -H 'Content-Type: application/json' \\
         -d '{"interval_seconds": 3600}'
    curl -X POST localhost:7071/runtime/webhooks/durabletask/instances/cleanup/raiseEvent/Stop \\
         -H 'Content-Type: application/json' -d 'null'

``continue_as_new`` ends this run and begins the next under the same instance id, with a new input and an empty history.
A fixed instance id makes the job a singleton: as long as it runs, a second start is refused.
"""

from collections.abc import Generator
from datetime import timedelta
from typing import Any

import durable_core as df

bp = df.Blueprint()

INTERVAL_SECONDS = 3600


@bp.orchestration_trigger(context_name="context")
def eternal_cleanup(context: df.DurableOrchestrationContext) -> Generator[Any, Any, dict[str, Any] | None]:
    """Clean up once, then sleep and begin anew, until the event ``Stop`` comes."""
    job = context.get_input() or {}
    removed = job.get("removed", 0) + (
        yield context.call_activity("clean_up", context.current_utc_datetime.isoformat())
    )
    context.set_custom_status({"removed": removed})
    stop = context.wait_for_external_event("Stop")
    interval = timedelta(seconds=job.get("interval_seconds", INTERVAL_SECONDS))
    sleep = context.create_timer(context.current_utc_datetime + interval)
    if (yield context.task_any([stop, sleep])) is stop:
        sleep.cancel()
        return {"removed": removed}
    context.continue_as_new({**job, "removed": removed})
    return None


@bp.activity_trigger(input_name="time")
def clean_up(time: str) -> int:
    """Stand-in for removing what has expired by ``time``; returns how much that was."""
    return 1 if time else 0
