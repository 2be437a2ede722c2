"""Human interaction: wait for somebody's decision, but not for ever.

    curl -X POST localhost:7071/api/orchestrators/approval/leave-42 -H 'Content-Type: application/json' -d '3600'
    curl -X POST localhost:7071/runtime/webhooks/durabletask/instances/leave-42/raiseEvent/Approval \\
         -H 'Content-Type: application/json' -d '{"approved": true, "by": "Ada"}'

The input is the time-out in seconds, 72 hours if there is none. The event may come before the orchestrator waits for
it: it is kept. Whichever task is settled first wins; the other one is given up.
"""

from collections.abc import Generator
from datetime import timedelta
from typing import Any

import durable_core as df

bp = df.Blueprint()

DEFAULT_TIMEOUT = timedelta(hours=72)


@bp.orchestration_trigger(context_name="context")
def approval(context: df.DurableOrchestrationContext) -> Generator[Any, Any, dict[str, Any]]:
    """Wait for the event ``Approval`` or the time-out, whichever comes first."""
    seconds = context.get_input()
    timeout = DEFAULT_TIMEOUT if seconds is None else timedelta(seconds=seconds)
    context.set_custom_status("waiting for Approval")
    decision = context.wait_for_external_event("Approval")
    timer = context.create_timer(context.current_utc_datetime + timeout)
    winner = yield context.task_any([decision, timer])
    if winner is timer:
        context.set_custom_status("timed out")
        return {"outcome": "escalated", "decision": None}
    timer.cancel()
    context.set_custom_status("decided")
    return {"outcome": "decided", "decision": decision.result}
