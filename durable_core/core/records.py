"""Dataclasses that the type checker holds to be frozen.

At run time they are not: a frozen one sets every field through a call, and every row and message that is read or
written pays for that.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from typing_extensions import dataclass_transform
else:

    def dataclass_transform(**_):  # the standard library has it from Python 3.11 on
        return lambda decorator: decorator


R = TypeVar("R")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def struct(kind: type[R]) -> type[R]:
    """A class of few fields, which are given by position or name."""
    return dataclass(slots=True, unsafe_hash=True)(kind)


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(field,))
def record(kind: type[R]) -> type[R]:
    """A class whose fields are given by name only, so that its subclasses can add some without a default."""
    return dataclass(slots=True, kw_only=True, unsafe_hash=True)(kind)
