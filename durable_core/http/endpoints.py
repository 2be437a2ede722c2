"""The table of endpoints: what serves them, and how the OpenAPI document describes them (http-and-protocol 1.2)."""

from __future__ import annotations

from durable_core.core.history import OrchestrationStatus
from durable_core.http import entities, host_operations, instances, openapi, starts
from durable_core.http.calls import CONTINUATION, Call
from durable_core.http.messages import Response, json_response
from durable_core.http.routes import ANY, Answer, Body, Parameter, Route
from durable_core.model.links import seen_from


def _flag(name: str, description: str, *, default: bool = False) -> Parameter:
    return Parameter(name, {"type": "boolean", "default": default}, f"{description} Anything else is ignored.")


def _moment(name: str, description: str) -> Parameter:
    return Parameter(name, {"type": "string", "format": "date-time"}, description)


_TEXT = {"type": "string"}
_SECONDS = {"type": "number", "minimum": 0}

_WAITING = (
    Parameter("timeout", _SECONDS, "With pollingInterval: seconds to wait for the end of the instance."),
    Parameter("pollingInterval", _SECONDS, "Seconds between two looks at the instance while waiting."),
)
_REASON = (Parameter("reason", _TEXT, "Why; kept in the history."),)
_TOP = Parameter("top", {"type": "integer", "minimum": 0, "default": 100}, "Entries of a page, at most 1,000.")
_TOKEN = Parameter(CONTINUATION, _TEXT, "The header of the page before.", place="header")
_STATUSES = {
    "anyOf": [
        {"type": "string", "enum": [status.name for status in OrchestrationStatus]},
        {"type": "integer", "enum": [status.value for status in OrchestrationStatus]},
    ]
}
_CREATED = (
    _moment("createdTimeFrom", "Created at this time or later."),
    _moment("createdTimeTo", "Created at this time or before."),
)
_RUNTIME_STATUS = Parameter("runtimeStatus", _STATUSES, "Any of these; names in any case.", is_list=True)
_SHOW_INPUT = _flag("showInput", "Show inputs.", default=True)
_INSTANCES = (
    *_CREATED,
    _RUNTIME_STATUS,
    Parameter("instanceIdPrefix", _TEXT, "Ids that begin like this, in this case."),
    _SHOW_INPUT,
    _TOP,
    _TOKEN,
)
_ENTITIES = (
    _moment("lastOperationTimeFrom", "Last operation at this time or later."),
    _moment("lastOperationTimeTo", "Last operation at this time or before."),
    _flag("fetchState", "Show states."),
    _TOP,
    _TOKEN,
)

_ACCEPTED = Answer("Accepted; it takes effect when the instance's worker reads it.")
_MISSING = Answer("There is no such instance, or its id cannot exist.")
_GONE = Answer("The instance has ended.")
_BAD = Answer("The request cannot be understood; the text says what was expected.", "Error")
_CHECK_STATUS = Answer("The links of the instance.", "CheckStatus", ("Location", "Retry-After"))
_WAITED = Answer("The instance ended in time: its output, or its status if it did not complete.", "Value")
_EXISTS = Answer("An instance of this id exists in a status that may not be replaced.", "Error")
_LIVES = Answer("The instance has not ended.", "Status", ("Location", "Retry-After"))
_SIGNAL = {202: Answer("The signal is on its way."), 400: _BAD}
_CONTROL = {202: _ACCEPTED, 404: _MISSING, 410: _GONE}
_WRONG_STATE = Answer("The instance is in a status that does not allow it.", "Error")


async def describe(call: Call) -> Response:
    """GET openapi.json"""
    return json_response(200, openapi.document(ROUTES, seen_from(call.links, call.request.url).base))


ROUTES: tuple[Route, ...] = (
    *(
        Route(
            "POST",
            f"orchestrators/{{functionName}}{tail}",
            starts.start,
            summary,
            (*_WAITING, Parameter("version", _TEXT, "Version of the orchestration.")),
            Body.OPTIONAL_JSON,
            {202: _CHECK_STATUS, 200: _WAITED, 400: _BAD, 409: _EXISTS},
        )
        for tail, summary in (
            ("", "Start an orchestration under an id that is made"),
            ("/{instanceId}", "Start an orchestration under an id of the caller"),
        )
    ),
    *(
        Route(
            "GET",
            f"entities{tail}",
            entities.list_all,
            summary,
            _ENTITIES,
            answers={200: Answer("A page of entities.", "Entities", (CONTINUATION,)), 400: _BAD},
        )
        for tail, summary in (("", "List entities"), ("/{entityName}", "List the entities of one name"))
    ),
    Route(
        "GET",
        "entities/{entityName}/{entityKey}",
        entities.show,
        "Read the state of an entity",
        answers={200: Answer("The state.", "Value"), 404: Answer("The entity does not exist.")},
    ),
    *(
        Route(
            "POST",
            f"entities/{{entityName}}{tail}",
            entities.signal,
            summary,
            (Parameter("op", _TEXT, "Name of the operation."),),
            Body.ANYTHING,
            _SIGNAL,
        )
        for tail, summary in (
            ("", "Signal the entity with the empty key"),
            ("/{entityKey}", "Signal an entity"),
        )
    ),
    *(
        Route("DELETE", f"entities/{{entityName}}{tail}", entities.delete, summary, (), Body.ANYTHING, _SIGNAL)
        for tail, summary in (
            ("", "Send the operation `delete` to the entity with the empty key"),
            ("/{entityKey}", "Send the operation `delete` to an entity"),
        )
    ),
    Route(
        "GET",
        "instances",
        instances.list_all,
        "List instances, entities among them",
        _INSTANCES,
        answers={200: Answer("A page of instances.", "Statuses", (CONTINUATION,)), 400: _BAD},
    ),
    Route(
        "DELETE",
        "instances",
        instances.purge_many,
        "Purge finished instances; createdTimeFrom is required",
        (*_CREATED, _RUNTIME_STATUS),
        answers={
            200: Answer("How many were deleted.", "Purged"),
            400: Answer("createdTimeFrom is missing, or a status is not final.", "ErrorOrText"),
            404: Answer("Nothing was deleted."),
        },
    ),
    Route(
        "GET",
        "instances/{instanceId}",
        instances.show,
        "Show an instance",
        (
            _flag("showHistory", "Show the history."),
            _flag("showHistoryOutput", "Show results in the history."),
            _SHOW_INPUT,
            _flag("returnInternalServerErrorOnFailure", "Answer 500 for a failed instance."),
        ),
        answers={
            200: Answer("The instance has ended.", "Status"),
            202: _LIVES,
            404: _MISSING,
            500: Answer("The instance failed, and the request asked for this code.", "Status"),
        },
    ),
    Route(
        "DELETE",
        "instances/{instanceId}",
        instances.purge_one,
        "Purge a finished instance",
        answers={
            200: Answer("It is deleted.", "Purged"),
            404: _MISSING,
            412: Answer("It has not ended.", "Text"),
        },
    ),
    Route(
        "POST",
        "instances/{instanceId}/raiseEvent/{eventName}",
        instances.raise_event,
        "Send an event to an instance",
        (),
        Body.JSON,
        {**_CONTROL, 400: _BAD},
    ),
    Route(
        "POST",
        "instances/{instanceId}/terminate",
        instances.control(lambda client, instance_id, reason: client.terminate(instance_id, reason)),
        "Terminate an instance",
        _REASON,
        answers=_CONTROL,
    ),
    Route(
        "POST",
        "instances/{instanceId}/suspend",
        instances.control(lambda client, instance_id, reason: client.suspend(instance_id, reason)),
        "Suspend an instance",
        _REASON,
        answers={**_CONTROL, 409: _WRONG_STATE},
    ),
    Route(
        "POST",
        "instances/{instanceId}/resume",
        instances.control(lambda client, instance_id, reason: client.resume(instance_id, reason)),
        "Resume a suspended instance",
        _REASON,
        answers={**_CONTROL, 409: _WRONG_STATE},
    ),
    Route(
        "POST",
        "instances/{instanceId}/rewind",
        instances.rewind,
        "Take the failure of a failed instance back",
        _REASON,
        answers={
            202: _ACCEPTED,
            404: Answer("There is no such instance.", "Text"),
            412: Answer("It has not failed.", "Text"),
        },
    ),
    Route(
        "POST",
        "instances/{instanceId}/restart",
        starts.restart,
        "Start the same function with the same input again",
        (_flag("restartWithNewInstanceId", "Under a new id.", default=True), *_WAITING),
        answers={202: _CHECK_STATUS, 200: _WAITED, 400: _BAD, 409: _EXISTS},
    ),
    Route(
        ANY,
        "makeprimary",
        host_operations.make_primary,
        "Have this app serve the task hub instead of another app",
        answers={200: Answer("It does, or will within a minute."), 400: _BAD},
    ),
    Route(
        "GET",
        "scale",
        host_operations.scale,
        "Tell the load of the hub, and whether more or fewer workers would do",
        (
            Parameter(
                "interval",
                {**_SECONDS, "maximum": 10, "default": 1},
                "Seconds between the five looks at the queues, after which the answer comes.",
            ),
        ),
        answers={200: Answer("Queues, partition owners and advice.", "Scale")},
    ),
    Route(
        "GET",
        "openapi.json",
        describe,
        "This description",
        answers={200: Answer("An OpenAPI 3.1 document.", "Value")},
    ),
)
