"""The OpenAPI 3.1 document of the management API, made from the table of endpoints."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from durable_core import __version__
from durable_core.core.history import OrchestrationStatus
from durable_core.http.calls import CHECK_STATUS
from durable_core.http.routes import ANY, Answer, Body, Parameter, Route
from durable_core.taskhub.scale import ScaleAction

_TIME = {"type": ["string", "null"], "format": "date-time"}
_JSON = "application/json"

_EVERYWHERE = (
    Parameter("taskHub", {"type": "string"}, "Another task hub than the app's own."),
    Parameter("connection", {"type": "string"}, "App setting with the connection of that hub."),
)

_STATUS = {
    "type": "object",
    "required": [
        "name",
        "instanceId",
        "runtimeStatus",
        "input",
        "customStatus",
        "output",
        "createdTime",
        "lastUpdatedTime",
    ],
    "properties": {
        "name": {"type": "string"},
        "version": {"type": "string"},
        "instanceId": {"type": "string"},
        "runtimeStatus": {"enum": [status.name for status in OrchestrationStatus]},
        "input": {},
        "customStatus": {},
        "output": {},
        "createdTime": _TIME,
        "lastUpdatedTime": _TIME,
        "historyEvents": {
            "type": "array",
            "items": {"type": "object", "required": ["EventType", "Timestamp"]},
        },
    },
}
_ENTITY = {
    "type": "object",
    "required": ["entityId", "lastOperationTime", "state"],
    "properties": {
        "entityId": {
            "type": "object",
            "required": ["name", "key"],
            "properties": {"name": {"type": "string"}, "key": {"type": "string"}},
        },
        "lastOperationTime": {"type": "string", "format": "date-time"},
        "state": {},
    },
}

_SCALE = {
    "type": "object",
    "required": ["queues", "workers", "targetWorkers", "recommendation"],
    "properties": {
        "queues": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["queue", "messages", "ageInSeconds", "owner"],
                "properties": {
                    "queue": {"type": "string"},
                    "messages": {"type": "integer", "minimum": 0},
                    "ageInSeconds": {"type": "number", "minimum": 0},
                    "owner": {"type": ["string", "null"]},
                },
            },
        },
        "workers": {"type": "integer", "minimum": 0},
        "targetWorkers": {"type": "integer", "minimum": 0},
        "recommendation": {
            "type": "object",
            "required": ["action", "reason", "keepWorkersAlive"],
            "properties": {
                "action": {"enum": [action.value for action in ScaleAction]},
                "reason": {"type": "string"},
                "keepWorkersAlive": {"type": "boolean"},
            },
        },
    },
}


def _reference(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


SCHEMAS: dict[str, Any] = {
    "Value": {"description": "Any JSON value."},
    "Text": {"type": "string"},
    "Error": {
        "type": "object",
        "required": ["Message"],
        "properties": {"Message": {"type": "string"}, "ExceptionMessage": {"type": "string"}},
    },
    "ErrorOrText": {"anyOf": [{"$ref": "#/components/schemas/Error"}, {"type": "string"}]},
    "CheckStatus": {
        "type": "object",
        "required": list(CHECK_STATUS),
        "properties": {name: {"type": "string"} for name in CHECK_STATUS},
    },
    "Status": _STATUS,
    "Statuses": {"type": "array", "items": {"$ref": "#/components/schemas/Status"}},
    "Scale": _SCALE,
    "Entities": {"type": "array", "items": _ENTITY},
    "Purged": {
        "type": "object",
        "required": ["instancesDeleted"],
        "properties": {"instancesDeleted": {"type": "integer", "minimum": 1}},
    },
}

EVERYWHERE: dict[int, Answer] = {
    400: Answer("The request cannot be understood; the text says what was expected.", "Error"),
    401: Answer("A key is needed: the host's system key or its master key."),
    403: Answer("This host is not open to pages of other sites.", "Error"),
    404: Answer("There is no such task hub.", "Error"),
    413: Answer("The body is too large.", "Error"),
    503: Answer("Storage cannot be reached at the moment.", "Error"),
}
"""What every endpoint may answer, whatever it is for."""


def document(routes: Sequence[Route], base: str) -> dict[str, Any]:
    """The document of these endpoints, served under the address ``base``."""
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        method = "post" if route.method == ANY else route.method.lower()
        paths.setdefault(f"/{route.template}", {})[method] = _operation(route, method)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Durable orchestrations and entities",
            "version": __version__,
            "description": "Path segments and parameter names are compared without regard to case. What matches no "
            "endpoint is 404 with an empty body.",
        },
        "servers": [{"url": base}],
        "security": [{"code": []}, {"header": []}],
        "paths": paths,
        "components": {
            "schemas": SCHEMAS,
            "securitySchemes": {
                "code": {"type": "apiKey", "in": "query", "name": "code"},
                "header": {"type": "apiKey", "in": "header", "name": "x-functions-key"},
            },
        },
    }


def _operation(route: Route, method: str) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": _identifier(method, route.template),
        "summary": route.summary,
        "parameters": [
            *(
                {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
                for name in route.path_names
            ),
            *(_parameter(parameter) for parameter in (*route.parameters, *_EVERYWHERE)),
        ],
        "responses": {str(code): _answer(answer) for code, answer in sorted({**EVERYWHERE, **route.answers}.items())},
    }
    if route.body is not Body.NOTHING:
        content: dict[str, Any] = {_JSON: {"schema": {}}}
        if route.body is Body.ANYTHING:
            content["text/plain"] = {"schema": {"type": "string"}}
        operation["requestBody"] = {"required": route.body is Body.JSON, "content": content}
    return operation


def _identifier(method: str, template: str) -> str:
    words = re.findall(r"[A-Za-z]+", template)
    return method + "".join(word[0].upper() + word[1:] for word in words)


def _parameter(parameter: Parameter) -> dict[str, Any]:
    described: dict[str, Any] = {
        "name": parameter.name,
        "in": parameter.place,
        "description": parameter.description,
        "schema": dict(parameter.schema),
    }
    if parameter.is_list:
        described |= {"schema": {"type": "array", "items": dict(parameter.schema)}, "style": "form", "explode": False}
    return described


def _answer(answer: Answer) -> dict[str, Any]:
    described: dict[str, Any] = {"description": answer.description}
    if answer.headers:
        described["headers"] = {name: {"schema": {"type": "string"}} for name in answer.headers}
    if answer.schema is not None:
        described["content"] = {_JSON: {"schema": _reference(answer.schema)}}
    return described
