"""One endpoint: what it matches, and what its description says (http-and-protocol 1.1, 1.2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any
from urllib.parse import unquote

from durable_core.http.calls import Handler

ANY = "*"
"""Stands for every method."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A query parameter or request header."""

    name: str
    schema: Mapping[str, Any]
    description: str
    place: str = "query"
    is_list: bool = False
    """Values are separated by commas, or the parameter is repeated."""


class Body(Enum):
    """What a request brings."""

    NOTHING = "nothing"
    OPTIONAL_JSON = "optional"
    JSON = "required"
    ANYTHING = "any"


@dataclass(frozen=True, slots=True)
class Answer:
    """One status code that an endpoint answers with.

    Attributes:
        schema: name of the body's schema in the description; None is an empty body.
        headers: names of headers that it carries.
    """

    description: str
    schema: str | None = None
    headers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Route:
    """One endpoint; literal segments are compared without regard to case, ``{name}`` takes one segment."""

    method: str
    template: str
    handler: Handler
    summary: str
    parameters: tuple[Parameter, ...] = ()
    body: Body = Body.NOTHING
    answers: Mapping[int, Answer] = field(default_factory=dict)

    @property
    def path_names(self) -> list[str]:
        """Names of the path's parameters, in order."""
        return [segment[1:-1] for segment in self.template.split("/") if segment.startswith("{")]

    def match(self, method: str, segments: list[str]) -> dict[str, str] | None:
        """The decoded values of the path's parameters; None if the request is for another endpoint."""
        wanted = self.template.split("/")
        if self.method not in (ANY, method) or len(wanted) != len(segments):
            return None
        values: dict[str, str] = {}
        for expected, segment in zip(wanted, segments, strict=True):
            if expected.startswith("{"):
                values[expected[1:-1]] = unquote(segment)
            elif expected.lower() != segment.lower():
                return None
        return values
