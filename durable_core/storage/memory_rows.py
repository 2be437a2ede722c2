"""What the table service accepts as a row (limits of the table service data model)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from durable_core.errors import InvalidRequestError
from durable_core.storage.base import DateTime, Entity, Guid, Int64, Operation, Value
from durable_core.storage.odata import ordinal

_LARGEST_TEXT = 32 * 1024
"""UTF-16 code units of a string property, that is 64 KiB."""
_SURELY_SHORT = _LARGEST_TEXT // 2
"""Characters that have no more units than that."""
_LARGEST_BINARY = 64 * 1024
_LARGEST_KEY = 512
"""UTF-16 code units, that is 1 KiB."""
_LARGEST_ROW = 1024 * 1024
_MOST_COLUMNS = 252
"""Beside PartitionKey, RowKey and Timestamp."""
SURELY_SMALL = 15
"""So many columns of 64 KiB stay below the limits of a row."""
_MANY, _SHORT = 64, 2048
"""So do so many columns that have no longer text."""
_LARGEST_TRANSACTION = 4 * 1024 * 1024
_LONGEST_CHARACTER = 4
"""Bytes of UTF-8."""
_INT32, _INT64 = 2**31, 2**63
_EARLIEST = "1601"

_FORBIDDEN = re.compile(r"[/\\#?\x00-\x1f\x7f-\x9f]")
_DATE = re.compile(
    r"\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,7})?Z", re.ASCII
)


def place(entity: Entity, index: int | None = None) -> tuple[str, str]:
    """Partition key and row key of an entity, in the form in which they sort.

    Raises:
        InvalidRequestError: one is missing, too long, or has a character that keys must not have (task-hub 4.1).
    """
    try:
        return _sorting(entity["PartitionKey"]), _sorting(entity["RowKey"])
    except _BadKeyError as error:
        raise _refused(error.text, error.code, index) from None
    except KeyError:
        raise _refused(*_NO_TEXT, index) from None


_NO_TEXT = "a row needs texts as PartitionKey and RowKey", "PropertiesNeedValue"


class _BadKeyError(Exception):
    """Why a key is refused; the row that it belongs to is not known yet."""

    def __init__(self, text: str, code: str) -> None:
        super().__init__(text)
        self.text, self.code = text, code


@lru_cache(maxsize=4096)
def _sorting(key: Value) -> str:
    if not isinstance(key, str):
        raise _BadKeyError(*_NO_TEXT)
    if _FORBIDDEN.search(key):
        raise _BadKeyError(f"key {key!r} has one of the characters / \\ # ? or a control character", "InvalidInput")
    if _utf16_units(key) > _LARGEST_KEY:
        raise _BadKeyError(f"key {key[:40]!r}… is larger than 1 KiB", "KeyValueTooLarge")
    return ordinal(key)


def accepted(entity: Entity, index: int | None = None) -> tuple[dict[str, Value], int]:
    """The properties that a write sends, without those that are None, and the characters and bytes of their values.

    Raises:
        InvalidRequestError: a property that the service does not take; ``index`` goes into the error.
        TypeError: a value of a type that no table can keep.
    """
    size = 0
    has_none = is_unusual = False
    for value in entity.values():  # of a whole hub: what is usual passes with few questions
        kind = type(value)
        if kind is str:
            size += len(value)  # type: ignore[arg-type]
        elif value is None:
            has_none = True
        elif kind is int:
            if not -_INT32 <= value < _INT32:  # type: ignore[operator]
                is_unusual = True
        elif kind is DateTime:
            if not _is_date(value):
                is_unusual = True
        elif kind is not bool:
            is_unusual = True
    if is_unusual or size > _SURELY_SHORT:
        size = _checked(entity, index)
    return ({name: value for name, value in entity.items() if value is not None} if has_none else dict(entity)), size


def _checked(entity: Entity, index: int | None) -> int:
    """Refuse what ``accepted`` has to, or tell the size."""
    size = 0
    for name, value in entity.items():
        if type(value) is str:
            if _utf16_units(value) > _LARGEST_TEXT:
                raise _refused(f"property {name} is larger than 64 KiB", "PropertyValueTooLarge", index)
            size += len(value)
        elif isinstance(value, DateTime):
            if not _is_date(value):
                _refuse_date(name, value, index)
        elif value is not None and not isinstance(value, (bool, Guid)):
            size += _check_other(name, value, index)
    return size


@lru_cache(maxsize=256)
def _is_date(value: str) -> bool:
    """The rows of a transaction share a few times."""
    return _DATE.fullmatch(value) is not None and value >= _EARLIEST


def _refuse_date(name: str, value: str, index: int | None) -> None:
    if _DATE.fullmatch(value) is None:
        raise _refused(f"property {name} is no UTC time: {value!r}", "InvalidInput", index)
    raise _refused(f"property {name} is before the year {_EARLIEST}: {value}", "OutOfRangeInput", index)


def _check_other(name: str, value: Value, index: int | None) -> int:
    """Refuse a value, or tell how much it adds to what a request may hold."""
    if isinstance(value, int):
        limit = _INT64 if isinstance(value, Int64) else _INT32
        if not -limit <= value < limit:
            bits = 64 if isinstance(value, Int64) else 32
            raise _refused(f"property {name} does not fit {bits} bits: {int(value)}", "InvalidInput", index)
    elif isinstance(value, bytes):
        if len(value) > _LARGEST_BINARY:
            raise _refused(f"property {name} is larger than 64 KiB", "PropertyValueTooLarge", index)
        return len(value)
    elif not isinstance(value, float):
        raise TypeError(f"column {name} holds a {type(value).__name__}, which a table cannot keep")
    return 0


def check_whole(values: dict[str, Value], index: int | None = None) -> None:
    """The limits of a row as it would be stored, which only one of more than ``SURELY_SMALL`` columns can break.

    Raises:
        InvalidRequestError: too many columns, or more than 1 MiB.
    """
    if len(values) <= _MANY and not _has_long_value(values):
        return
    columns = len(values.keys() - {"PartitionKey", "RowKey", "Timestamp"})
    if columns > _MOST_COLUMNS:
        raise _refused(f"a row of {columns} columns; {_MOST_COLUMNS} are allowed", "TooManyProperties", index)
    if sum(8 + 2 * len(name) + _size(value) for name, value in values.items()) > _LARGEST_ROW:
        raise _refused("a row is larger than 1 MiB", "EntityTooLarge", index)


def _has_long_value(values: dict[str, Value]) -> bool:
    for value in values.values():  # a generator would cost more  # noqa: SIM110
        if isinstance(value, (str, bytes)) and len(value) > _SHORT:
            return True
    return False


def _size(value: Value) -> int:
    if type(value) is str:
        return 2 * _utf16_units(value) + 4
    return len(value) + 4 if isinstance(value, bytes) else 16


def check_transaction_size(operations: Sequence[Operation], size: int) -> None:
    """Refuse a transaction whose values alone are larger than a request may be.

    Args:
        size: characters and bytes of all values.

    Raises:
        InvalidRequestError: more than 4 MiB.
    """
    if size > _LARGEST_TRANSACTION // _LONGEST_CHARACTER and _encoded_size(operations) > _LARGEST_TRANSACTION:
        raise InvalidRequestError("a transaction is larger than 4 MiB", status=413, code="RequestBodyTooLarge")


def _encoded_size(operations: Sequence[Operation]) -> int:
    size = 0
    for operation in operations:
        for value in operation.entity.values():
            if isinstance(value, str):
                size += len(value) if value.isascii() else len(value.encode())
            elif isinstance(value, bytes):
                size += len(value) * 4 // 3
    return size


def _utf16_units(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def _refused(text: str, code: str, index: int | None) -> InvalidRequestError:
    return InvalidRequestError(text, status=400, code=code, index=index)
