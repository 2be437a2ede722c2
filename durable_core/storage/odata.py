"""The part of OData filters that task hubs use, as a predicate over rows."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from durable_core.errors import InvalidRequestError
from durable_core.storage.base import DateTime, Guid, Value

Predicate = Callable[[Mapping[str, Value]], bool]

_TOKEN = re.compile(
    r"\s*(?:(?P<paren>[()])"
    r"|(?P<typed>(?P<kind>datetime|guid)'(?P<typed_text>[^']*)')"
    r"|(?P<string>'(?:[^']|'')*')"
    r"|(?P<number>-?\d+(?:\.\d+)?)L?"
    r"|(?P<word>[A-Za-z_][A-Za-z0-9_]*))"
)
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "gt": operator.gt,
    "ge": operator.ge,
    "lt": operator.lt,
    "le": operator.le,
}


@dataclass(frozen=True, slots=True)
class Filter:
    """A compiled filter.

    Attributes:
        matches: tells whether a row passes.
        partition_key: the one that every matching row must have, None if the filter does not pin it.
    """

    matches: Predicate
    partition_key: str | None = None


def compile_filter(filter: str) -> Filter:
    """Turn a filter into a predicate; the empty one matches everything.

    Raises:
        InvalidRequestError: the filter uses something else than ``and``, ``or``, ``not``, parentheses and comparisons
            of a property with a literal.
    """
    if not filter.strip():
        return Filter(lambda row: True)
    parser = _Parser(filter)
    compiled = parser.disjunction()
    if parser.peek() is not None:
        raise parser.error()
    return compiled


class _Parser:
    def __init__(self, filter: str) -> None:
        self._filter = filter
        self._tokens: list[tuple[str, Any]] = []
        position = 0
        while position < len(filter.rstrip()):
            found = _TOKEN.match(filter, position)
            if found is None:
                raise self.error()
            self._tokens.append(_token(found))
            position = found.end()
        self._next = 0

    def error(self) -> InvalidRequestError:
        return InvalidRequestError(f"the filter {self._filter!r} cannot be understood", status=400, code="InvalidInput")

    def peek(self) -> tuple[str, Any] | None:
        return self._tokens[self._next] if self._next < len(self._tokens) else None

    def _take(self, kind: str) -> Any:
        token = self.peek()
        if token is None or token[0] != kind:
            raise self.error()
        self._next += 1
        return token[1]

    def _accept(self, kind: str, value: str) -> bool:
        if self.peek() == (kind, value):
            self._next += 1
            return True
        return False

    def disjunction(self) -> Filter:
        terms = [self._conjunction()]
        while self._accept("word", "or"):
            terms.append(self._conjunction())
        if len(terms) == 1:
            return terms[0]
        tests = [term.matches for term in terms]
        return Filter(lambda row: any(test(row) for test in tests))

    def _conjunction(self) -> Filter:
        terms = [self._factor()]
        while self._accept("word", "and"):
            terms.append(self._factor())
        if len(terms) == 1:
            return terms[0]
        tests = [term.matches for term in terms]
        pinned = next((term.partition_key for term in terms if term.partition_key is not None), None)
        return Filter(lambda row: all(test(row) for test in tests), pinned)

    def _factor(self) -> Filter:
        if self._accept("word", "not"):
            inner = self._factor().matches
            return Filter(lambda row: not inner(row))
        if self._accept("paren", "("):
            inside = self.disjunction()
            if not self._accept("paren", ")"):
                raise self.error()
            return inside
        return self._comparison()

    def _comparison(self) -> Filter:
        name = self._take("word")
        comparison = self._take("word")
        compare = _COMPARE.get(comparison)
        token = self.peek()
        if compare is None or token is None:
            raise self.error()
        self._next += 1
        literal = token[1]
        if token[0] == "word":
            if literal not in ("true", "false"):
                raise self.error()
            literal = literal == "true"
        elif token[0] == "paren":
            raise self.error()
        pins = name == "PartitionKey" and comparison == "eq"
        return Filter(_comparison(name, compare, literal), literal if pins else None)


def _comparison(name: str, compare: Callable[[Any, Any], bool], literal: Any) -> Predicate:
    kind = bool if isinstance(literal, bool) else (int, float) if isinstance(literal, (int, float)) else str

    def test(row: Mapping[str, Value]) -> bool:
        value = row.get(name)
        if value is None or not isinstance(value, kind) or (kind is not bool and isinstance(value, bool)):
            return False  # a property that is absent or of another type matches nothing
        return compare(value, literal)

    return test


def _token(found: re.Match[str]) -> tuple[str, Any]:
    if found["paren"]:
        return "paren", found["paren"]
    if found["typed"]:
        text = found["typed_text"]
        return "literal", _date(text) if found["kind"] == "datetime" else Guid(text)
    if found["string"] is not None:
        return "literal", found["string"][1:-1].replace("''", "'")
    if found["number"]:
        number = found["number"]
        return "literal", float(number) if "." in number else int(number)
    return "word", found["word"]


def _date(text: str) -> DateTime:
    """Seven digits, so that comparing texts compares times."""
    whole, _, fraction = text.removesuffix("Z").partition(".")
    return DateTime(f"{whole}.{fraction[:7].ljust(7, '0')}Z")
