"""Matching URLs to functions as the Functions host does (functions-host 6, 14.3).

Functions are tried in the alphabetical order of their names; the first match wins and there is no ranking. The
method is
part of the match, so a wrong one falls through and finally ends in 404.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import unquote

RESERVED = ("admin", "runtime")

_PARAMETER = re.compile(
    r"\{(?P<star>\**)(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?P<constraints>(?::(?:[^{}]|\{\{|\}\})*?)?)(?P<optional>\??)\}"
)
_GUID = re.compile(r"[0-9a-fA-F]{8}-?(?:[0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}")
_ENCODED_SLASH = re.compile("%2F", re.IGNORECASE)

Check = Callable[[str], bool]


class RouteError(ValueError):
    """A route text that cannot be used."""


@dataclass(frozen=True, slots=True)
class _Segment:
    """One path segment: a literal, or one parameter."""

    literal: str | None = None
    name: str = ""
    checks: tuple[Check, ...] = ()
    is_optional: bool = False
    is_catch_all: bool = False


@dataclass(frozen=True, slots=True)
class FunctionRoute:
    """The route of one HTTP function.

    Attributes:
        methods: upper case; empty means every method.
    """

    function: str
    template: str
    methods: frozenset[str]
    segments: tuple[_Segment, ...]

    def match(self, method: str, path: str) -> dict[str, str] | None:
        """Route parameters if the request is for this function.

        Args:
            path: percent-encoded, behind the prefix, without leading slash.
        """
        if self.methods and method not in self.methods:
            return None
        given = [part for part in path.split("/") if part] if path else []
        values: dict[str, str] = {}
        for index, segment in enumerate(self.segments):
            if segment.is_catch_all:
                values[segment.name] = "/".join(_decoded(part) for part in given[index:])
                return values
            if index >= len(given):
                return values if segment.is_optional else None
            if segment.literal is not None:
                if segment.literal.lower() != unquote(given[index]).lower():
                    return None
                continue
            value = _decoded(given[index])
            if not all(check(value) for check in segment.checks):
                return None
            values[segment.name] = value
        return values if len(given) <= len(self.segments) else None


def parse_route(function: str, route: str, methods: Sequence[str]) -> FunctionRoute:
    """Read a route text.

    Raises:
        RouteError: it is malformed, reserved, or uses an unknown constraint.
    """
    text = route.strip("/")
    if text.lower().startswith(RESERVED):
        raise RouteError(
            f"function '{function}': the specified route '{route}' conflicts with one or more built in routes; it "
            f"must not "
            "begin with 'admin' or 'runtime'"
        )
    segments = tuple(_segment(function, part) for part in text.split("/") if part)
    for segment in segments[:-1]:
        if segment.is_catch_all or segment.is_optional:
            raise RouteError(
                f"function '{function}': only the last part of route '{route}' may be optional or a catch-all"
            )
    return FunctionRoute(function, text, frozenset(method.upper() for method in methods), segments)


def conflicts(routes: Sequence[FunctionRoute]) -> list[str]:
    """Texts about functions with the same route and overlapping methods."""
    found = []
    for index, later in enumerate(routes):
        for earlier in routes[:index]:
            same = earlier.template.lower() == later.template.lower()
            if same and (not earlier.methods or not later.methods or earlier.methods & later.methods):
                found.append(
                    f"functions '{earlier.function}' and '{later.function}' have the same route '{later.template}' "
                    f"for the "
                    "same method"
                )
    return found


def _segment(function: str, part: str) -> _Segment:
    found = _PARAMETER.fullmatch(part)
    if found is None:
        if "{" in part or "}" in part:
            raise RouteError(f"function '{function}': the route part '{part}' is neither a literal nor one parameter")
        return _Segment(literal=part)
    constraints = [text for text in found["constraints"].split(":") if text]
    return _Segment(
        name=found["name"],
        checks=tuple(_check(function, text) for text in constraints),
        is_optional=bool(found["optional"]),
        is_catch_all=bool(found["star"]),
    )


def _decoded(segment: str) -> str:
    """Percent-decoded, but an encoded slash stays encoded."""
    return "%2F".join(unquote(piece) for piece in _ENCODED_SLASH.split(segment))


def _number(kind: Callable[[str], object]) -> Check:
    def check(value: str) -> bool:
        try:
            kind(value)
        except ValueError:
            return False
        return True

    return check


_SIMPLE: dict[str, Check] = {
    "int": lambda value: re.fullmatch(r"[+-]?\d+", value) is not None and -(2**31) <= int(value) < 2**31,
    "long": lambda value: re.fullmatch(r"[+-]?\d+", value) is not None and -(2**63) <= int(value) < 2**63,
    "bool": lambda value: value.lower() in ("true", "false"),
    "guid": lambda value: _GUID.fullmatch(value) is not None,
    "alpha": lambda value: re.fullmatch(r"[A-Za-z]*", value) is not None,
    "datetime": lambda value: re.match(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}", value) is not None,
    "decimal": _number(float),
    "double": _number(float),
    "float": _number(float),
    "required": bool,
}


def _check(function: str, text: str) -> Check:
    name, _, rest = text.partition("(")
    arguments = rest.removesuffix(")")
    simple = _SIMPLE.get(name.lower())
    if simple is not None and not rest:
        return simple
    try:
        return _with_arguments(name.lower(), arguments)
    except (ValueError, re.error, KeyError) as error:
        raise RouteError(f"function '{function}': the constraint '{text}' is not known or is malformed") from error


def _with_arguments(name: str, arguments: str) -> Check:
    if name == "regex":
        pattern = re.compile(arguments.replace("{{", "{").replace("}}", "}"), re.IGNORECASE)
        return lambda value: pattern.search(value) is not None
    numbers = [int(text) for text in arguments.split(",")]
    first, last = numbers[0], numbers[-1]
    integer = _SIMPLE["long"]
    checks: dict[str, Check] = {
        "length": lambda value: first <= len(value) <= last,
        "minlength": lambda value: len(value) >= first,
        "maxlength": lambda value: len(value) <= first,
        "min": lambda value: integer(value) and int(value) >= first,
        "max": lambda value: integer(value) and int(value) <= first,
        "range": lambda value: integer(value) and first <= int(value) <= last,
    }
    return checks[name]
