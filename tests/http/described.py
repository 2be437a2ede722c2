"""Checks an answer against the OpenAPI document: its status must be described, and its body have the schema."""

from __future__ import annotations

import json

from jsonschema import Draft202012Validator

from durable_core.http.endpoints import ROUTES
from durable_core.http.messages import Response
from durable_core.http.openapi import EVERYWHERE, SCHEMAS, document
from durable_core.http.routes import Route

DESCRIPTION = document(ROUTES, "http://localhost:7071/runtime/webhooks/durabletask")
_VALIDATORS = {
    name: Draft202012Validator({**schema, "components": {"schemas": SCHEMAS}}) for name, schema in SCHEMAS.items()
}


def route_of(method: str, path: str) -> Route | None:
    segments = [segment for segment in path.partition("?")[0].strip("/").split("/") if segment]
    return next((route for route in ROUTES if route.match(method, segments) is not None), None)


def check_described(method: str, path: str, answer: Response) -> None:
    """Raise AssertionError if the document promises something else for this request."""
    route = route_of(method, path)
    if route is None:
        assert (answer.status, answer.body) == (404, b"")
        return
    candidates = [found for found in (route.answers.get(answer.status), EVERYWHERE.get(answer.status)) if found]
    assert candidates, (method, path, answer.status, answer.body)
    if not answer.body:
        assert any(found.schema is None for found in candidates), (method, path, answer.status)
        return
    value = json.loads(answer.body)
    fitting = [found for found in candidates if found.schema and _VALIDATORS[found.schema].is_valid(value)]
    assert fitting, (method, path, answer.status, value)
    names = {name.lower() for name in answer.headers}
    assert all(name.lower() in names for name in fitting[0].headers if not name.startswith("x-ms")), answer.headers
