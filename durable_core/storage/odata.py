"""The part of OData filters that task hubs use, as a predicate over rows.

A filter is compiled once per shape, with its quoted literals left open, because the filters of a task hub differ only
in those. A comparison holds only between a property and a literal of its own type; a property that is absent or of
another type passes no comparison, not even ``ne``.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any
from uuid import UUID

from durable_core.core import ticks
from durable_core.errors import InvalidRequestError
from durable_core.storage.base import DateTime, Guid, Int64, Value

_Test = Callable[[Sequence[Any], Mapping[str, Value]], bool]
"""Takes the quoted literals of a filter and the properties of a row."""
_Reader = Callable[[str], Any]

_QUOTED = re.compile(r"'((?:[^']|'')*)'")
_TOKEN = re.compile(
    r"\s*(?:(?P<paren>[()])"
    r"|(?P<kind>datetime|guid)?'"
    r"|(?P<number>-?\d+(?:\.\d+)?)(?P<long>L?)(?![\w.])"
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
_DEEPEST = 50
"""Levels of parentheses and ``not``; the service's own limit is not documented, its urls end before."""
_ASTRAL = re.compile("[\U00010000-\U0010ffff]")


def ordinal(text: str) -> str:
    """A text that sorts as the service sorts this one: by UTF-16 code units.

    The two orders differ only for characters beyond U+FFFF; those are taken apart into surrogates.
    """
    return text if text.isascii() else _ASTRAL.sub(_surrogates, text)


def _surrogates(found: re.Match[str]) -> str:
    point = ord(found[0]) - 0x10000
    return chr(0xD800 + (point >> 10)) + chr(0xDC00 + (point & 0x3FF))


@dataclass(frozen=True, slots=True)
class Filter:
    """A compiled filter.

    Attributes:
        matches: tells whether a row passes.
        partition_key: the one that every matching row must have, None if the filter does not pin it.
        row_key: likewise.
        is_whole_partition: it asks for all rows of ``partition_key`` and for nothing else.
    """

    matches: Callable[[Mapping[str, Value]], bool]
    partition_key: str | None = None
    row_key: str | None = None
    is_whole_partition: bool = False


def compile_filter(filter: str) -> Filter:
    """Turn a filter into a predicate; the empty one matches everything.

    Raises:
        InvalidRequestError: the filter uses something else than ``and``, ``or``, ``not``, parentheses and comparisons
            of a property with a literal.
    """
    pieces = _QUOTED.split(filter)
    shape = "'".join(pieces[::2])
    if shape.count("'") != len(pieces) // 2:  # a quote that is not closed
        raise _error(filter)
    try:
        plan = _plan(shape)
        literals = [read(text) for read, text in zip(plan.readers, pieces[1::2], strict=True)]
    except ValueError as error:
        raise _error(filter) from error
    return Filter(
        partial(plan.test, literals),
        None if plan.partition_key is None else literals[plan.partition_key],
        None if plan.row_key is None else literals[plan.row_key],
        shape == _ONE_PARTITION,
    )


_ONE_PARTITION = "PartitionKey eq '"
"""The shape of a filter that pins the partition key only."""


def _error(filter: str) -> InvalidRequestError:
    return InvalidRequestError(f"the filter {filter!r} cannot be understood", status=400, code="InvalidInput")


@dataclass(frozen=True, slots=True)
class _Plan:
    """A filter without its quoted literals; ``partition_key`` and ``row_key`` are places among them."""

    test: _Test
    readers: Sequence[_Reader]
    partition_key: int | None
    row_key: int | None


@dataclass(frozen=True, slots=True)
class _Part:
    test: _Test
    partition_key: int | None = None
    row_key: int | None = None


@lru_cache(maxsize=256)
def _plan(shape: str) -> _Plan:
    """Compile a filter in which each quoted literal is one quote.

    Raises:
        ValueError: the shape is none of a filter.
    """
    if not shape.strip():
        return _Plan(lambda literals, row: True, (), None, None)
    parser = _Parser(shape)
    part = parser.disjunction()
    if parser.peek()[0] != "end":
        raise ValueError(shape)
    return _Plan(part.test, parser.readers, part.partition_key, part.row_key)


class _Parser:
    def __init__(self, shape: str) -> None:
        self.readers: list[_Reader] = []
        self._tokens = self._read(shape)
        self._next = 0
        self._depth = 0

    def _read(self, shape: str) -> list[tuple[str, Any]]:
        tokens: list[tuple[str, Any]] = []
        position, end = 0, len(shape.rstrip())
        while position < end:
            found = _TOKEN.match(shape, position)
            if found is None:
                raise ValueError(shape)
            position = found.end()
            if found["paren"] or found["word"]:
                tokens.append(("paren" if found["paren"] else "word", found["paren"] or found["word"]))
            elif found["number"]:
                tokens.append(("number", _number(found["number"], bool(found["long"]))))
            else:
                tokens.append(("quoted", (len(self.readers), found["kind"] or "")))
                self.readers.append(_READERS[found["kind"] or ""])
        tokens.append(("end", ""))
        return tokens

    def peek(self) -> tuple[str, Any]:
        return self._tokens[self._next]

    def _take(self) -> tuple[str, Any]:
        token = self._tokens[self._next]
        if token[0] != "end":
            self._next += 1
        return token

    def _accept(self, kind: str, value: str) -> bool:
        if self.peek() == (kind, value):
            self._next += 1
            return True
        return False

    def disjunction(self) -> _Part:
        parts = [self._conjunction()]
        while self._accept("word", "or"):
            parts.append(self._conjunction())
        return parts[0] if len(parts) == 1 else _Part(_any_of([part.test for part in parts]))

    def _conjunction(self) -> _Part:
        parts = [self._factor()]
        while self._accept("word", "and"):
            parts.append(self._factor())
        if len(parts) == 1:
            return parts[0]
        return _Part(
            _all_of([part.test for part in parts]),
            next((part.partition_key for part in parts if part.partition_key is not None), None),
            next((part.row_key for part in parts if part.row_key is not None), None),
        )

    def _factor(self) -> _Part:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise ValueError("nested too deeply")
        part = self._inner_factor()
        self._depth -= 1
        return part

    def _inner_factor(self) -> _Part:
        if self._accept("word", "not"):
            return _Part(_negation(self._factor().test))
        if self._accept("paren", "("):
            inside = self.disjunction()
            if not self._accept("paren", ")"):
                raise ValueError("a parenthesis is missing")
            return inside
        return self._comparison()

    def _comparison(self) -> _Part:
        (kind, name), (_, word) = self._take(), self._take()
        compare = _COMPARE.get(word)
        if kind != "word" or compare is None:
            raise ValueError("a comparison is needed")
        kind, value = self._take()
        if kind == "quoted":
            place, type_name = value
            test = _quoted_test(name, word, compare, place, type_name)
            if word == "eq" and not type_name and name in ("PartitionKey", "RowKey"):
                return _Part(test, *((place, None) if name == "PartitionKey" else (None, place)))
            return _Part(test)
        if kind == "number":
            return _Part(_constant_test(name, compare, value, (Int64,) if type(value) is Int64 else (int, float)))
        if kind == "word" and value in ("true", "false"):
            return _Part(_constant_test(name, compare, value == "true", (bool,)))
        raise ValueError("a literal is needed")


def _any_of(tests: Sequence[_Test]) -> _Test:
    def test(literals: Sequence[Any], row: Mapping[str, Value]) -> bool:
        for one in tests:  # a plain loop: this runs for every row  # noqa: SIM110
            if one(literals, row):
                return True
        return False

    return test


def _all_of(tests: Sequence[_Test]) -> _Test:
    def test(literals: Sequence[Any], row: Mapping[str, Value]) -> bool:
        for one in tests:  # noqa: SIM110
            if not one(literals, row):
                return False
        return True

    return test


def _negation(inner: _Test) -> _Test:
    return lambda literals, row: not inner(literals, row)


def _constant_test(name: str, compare: Callable[[Any, Any], bool], constant: Any, types: tuple[type, ...]) -> _Test:
    def test(literals: Sequence[Any], row: Mapping[str, Value]) -> bool:
        value = row.get(name)
        return type(value) in types and compare(value, constant)

    return test


def _quoted_test(name: str, word: str, compare: Callable[[Any, Any], bool], place: int, type_name: str) -> _Test:
    if type_name == "datetime":
        return _converted_test(name, compare, place, DateTime, ticks.parse)
    if type_name == "guid":
        return _converted_test(name, compare, place, Guid, _guid)
    if word not in ("eq", "ne"):
        return _ordered_test(name, compare, place)

    def test(literals: Sequence[Any], row: Mapping[str, Value]) -> bool:
        value = row.get(name)
        return type(value) is str and compare(value, literals[place])

    return test


def _converted_test(
    name: str, compare: Callable[[Any, Any], bool], place: int, kind: type, convert: Callable[[Any], Any]
) -> _Test:
    def test(literals: Sequence[Any], row: Mapping[str, Value]) -> bool:
        value: Any = row.get(name)
        return type(value) is kind and compare(convert(value), literals[place])

    return test


def _ordered_test(name: str, compare: Callable[[Any, Any], bool], place: int) -> _Test:
    def test(literals: Sequence[Any], row: Mapping[str, Value]) -> bool:
        value: Any = row.get(name)
        return type(value) is str and compare(ordinal(value), ordinal(literals[place]))

    return test


def _number(text: str, is_long: bool) -> int | float:
    """An Edm.Int64 with the suffix L, else an Edm.Int32 or Edm.Double."""
    if is_long:
        return Int64(text)
    return float(text) if "." in text else int(text)


def _guid(text: str) -> str:
    return str(UUID(text))


def _text(text: str) -> str:
    return text.replace("''", "'")


_READERS: Mapping[str, _Reader] = {"": _text, "datetime": ticks.parse, "guid": _guid}
