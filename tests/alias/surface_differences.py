"""What of the original's public surface is deliberately not there, and why.

Classes that are refused are there, and making one raises an error that says why.
"""

from __future__ import annotations

MADE_BY_THE_RUNTIME = "only the runtime makes them; making one from a payload is refused with the way out"
HELPER = "a private helper of the original"
NOT_A_WIRE = "there is no local endpoint of the extension"
COMPOUND = "how the original drives compounds; the replay core does it here"

MODULES = {
    "models.utils.df_serialization": HELPER,
    "models.utils.http_utils": NOT_A_WIRE,
    "models.utils.json_utils": HELPER,
    "models.utils.type_discovery": HELPER,
}

FUNCTIONS = {
    "activity_output_type": HELPER,
    "add_attrib": HELPER,
    "add_datetime_attrib": HELPER,
    "add_json_attrib": HELPER,
    "from_json_util": HELPER,
    "parse_timespan_attrib": HELPER,
    "sub_orchestrator_output_type": HELPER,
    "delete_async_request": NOT_A_WIRE,
    "get_async_request": NOT_A_WIRE,
    "post_async_request": NOT_A_WIRE,
}

MEMBERS = {
    "CompoundTask.handle_completion": COMPOUND,
    "CompoundTask.try_set_value": COMPOUND,
    "DurableEntityContext.__init__": MADE_BY_THE_RUNTIME,
    "DurableOrchestrationContext.__init__": MADE_BY_THE_RUNTIME,
    "LongTimerTask.__init__": MADE_BY_THE_RUNTIME,
    "LongTimerTask.add_new_child": COMPOUND,
    "LongTimerTask.bases": "one timer, which the core splits; not a compound",
    "LongTimerTask.get_next_timer_task": COMPOUND,
    "LongTimerTask.handle_completion": COMPOUND,
    "LongTimerTask.try_set_value": COMPOUND,
    "NoOpAction.action_type": "a property, as in all other actions",
    "RetryAbleTask.__init__": MADE_BY_THE_RUNTIME,
    "RetryAbleTask.bases": "one call, which the core repeats; not a compound",
    "RetryAbleTask.handle_completion": COMPOUND,
    "RetryAbleTask.try_set_value": COMPOUND,
    "WhenAllTask.handle_completion": COMPOUND,
    "WhenAllTask.try_set_value": COMPOUND,
    "WhenAnyTask.handle_completion": COMPOUND,
    "WhenAnyTask.try_set_value": COMPOUND,
}

REFUSED_CLASSES = {
    "RpcManagementOptions": NOT_A_WIRE,
    "TaskOrchestrationExecutor": "the original's own replay; making one says so",
}
