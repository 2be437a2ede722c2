"""Monitor: look at something again and again, with durable timers in between, until it is done or time is up.

    curl -X POST localhost:7071/api/orchestrators/monitor -H 'Content-Type: application/json' \\
         -d '{"job": "build-7", "polls_needed": 3, "interval_seconds": 1, "expiry_seconds": 60}'

A durable timer costs nothing while it waits: no thread, no process, no open connection. The orchestrator takes the time
from the context, never from the system clock, so that a replay sees the same time.
"""

from collections.abc import Generator
from datetime import timedelta
from typing import Any

import durable_core as df

bp = df.Blueprint()


@bp.orchestration_trigger(context_name="context")
def monitor(context: df.DurableOrchestrationContext) -> Generator[Any, Any, dict[str, Any]]:
    """Poll a job until it is finished or the expiry has passed."""
    settings = context.get_input() or {}
    interval = timedelta(seconds=settings.get("interval_seconds", 30))
    expiry = context.current_utc_datetime + timedelta(seconds=settings.get("expiry_seconds", 3600))
    polls = 0
    while context.current_utc_datetime < expiry:
        polls += 1
        state = yield context.call_activity("check_job", {**settings, "poll": polls})
        context.set_custom_status({"polls": polls, "state": state})
        if state == "finished":
            return {"finished": True, "polls": polls}
        yield context.create_timer(context.current_utc_datetime + interval)
    return {"finished": False, "polls": polls}


@bp.activity_trigger(input_name="job")
def check_job(job: dict[str, Any]) -> str:
    """Ask how the job is doing; this one is finished after as many polls as its description says."""
    return "finished" if job["poll"] >= job.get("polls_needed", 3) else "running"
