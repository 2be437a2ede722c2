"""Fan out, fan in: start many activities at once, wait for all of them, combine what they return.

    curl -X POST localhost:7071/api/orchestrators/fan_out_fan_in -H 'Content-Type: application/json' -d '10'

The input is the number of work items; the output is the sum of their results. A task is scheduled when it is created,
so the items run in parallel, on every worker of the task hub; ``task_all`` waits for all of them.
"""

from collections.abc import Generator
from typing import Any

import durable_core as df

bp = df.Blueprint()


@bp.orchestration_trigger(context_name="context")
def fan_out_fan_in(context: df.DurableOrchestrationContext) -> Generator[Any, Any, int]:
    """Process as many work items as the input says and add up their results."""
    count = context.get_input() or 0
    results = yield context.task_all([context.call_activity("process_item", item) for item in range(count)])
    return sum(results)


@bp.activity_trigger(input_name="item")
def process_item(item: int) -> int:
    """Stand-in for real work: the square of the item's number."""
    return item * item
