"""The description of the management API, against the routes that answer, both ways."""

from __future__ import annotations

import re

from openapi_spec_validator import OpenAPIV31SpecValidator

from durable_core.http.endpoints import ROUTES
from durable_core.http.management import handle
from durable_core.http.messages import Request
from durable_core.http.openapi import document
from durable_core.http.routes import ANY
from tests.http.api import BASE, Api, on_a_hub
from tests.http.api import document as body_of
from tests.http.described import DESCRIPTION
from tests.http.test_management import a_client

METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS")


def test_the_document_is_valid_openapi() -> None:
    OpenAPIV31SpecValidator(DESCRIPTION).validate()
    identifiers = [operation["operationId"] for path in DESCRIPTION["paths"].values() for operation in path.values()]
    assert len(identifiers) == len(set(identifiers))


def test_every_described_operation_is_served() -> None:
    for path, operations in DESCRIPTION["paths"].items():
        segments = re.sub(r"\{[^}]*\}", "x", path).strip("/").split("/")
        for method in operations:
            assert any(route.match(method.upper(), segments) for route in ROUTES if "{" in path) or any(
                route.match(method.upper(), segments) == {} for route in ROUTES
            ), (method, path)


def test_every_route_is_described_and_nothing_else_answers() -> None:
    for route in ROUTES:
        described = DESCRIPTION["paths"][f"/{route.template}"]
        segments = re.sub(r"\{[^}]*\}", "x", route.template).split("/")
        for method in METHODS:
            served = any(other.match(method, segments) is not None for other in ROUTES)
            assert served is (route.method == ANY or method.lower() in described), (method, route.template)
        operation = described["post" if route.method == ANY else route.method.lower()]
        in_path = [item["name"] for item in operation["parameters"] if item["in"] == "path"]
        assert in_path == re.findall(r"\{(\w+)\}", route.template)
        assert {str(code) for code in route.answers} <= set(operation["responses"])


def test_it_is_served_and_needs_no_storage() -> None:
    async def scenario(api: Api) -> None:
        answer = await api("GET", "OpenAPI.json")
        assert answer.status == 200
        assert body_of(answer) == document(ROUTES, BASE)

    on_a_hub(scenario)


async def test_the_server_in_it_is_the_one_that_was_asked() -> None:
    url = "https://proxy.example/runtime/webhooks/durabletask/openapi.json"
    answer = await handle(Request("GET", "/openapi.json", url=url), a_client(None))
    assert body_of(answer)["servers"] == [{"url": "https://proxy.example/runtime/webhooks/durabletask"}]
