"""Names of queues, tables and containers: what they may look like, and how long a deleted one stays taken."""

from __future__ import annotations

import re
from collections.abc import Callable

from durable_core.core.ticks import PER_SECOND
from durable_core.errors import AlreadyExistsError, InvalidRequestError

_DASHED = re.compile(r"[a-z0-9](?:-?[a-z0-9])*")
_ALPHANUMERIC = re.compile(r"[A-Za-z][A-Za-z0-9]*")


class Names:
    """The name rules of one kind of resource.

    Args:
        kind: ``queue``, ``table`` or ``container``.
        clock: UTC ticks of the service.
        deletion: seconds for which the name of a deleted resource cannot be used again. The service needs 30 and more;
            meanwhile it answers 409 to its creation and 404 to everything else.
    """

    def __init__(self, kind: str, clock: Callable[[], int], deletion: int) -> None:
        self._kind = kind
        self._pattern = _ALPHANUMERIC if kind == "table" else _DASHED
        self._clock = clock
        self._deletion = deletion * PER_SECOND
        self._free_at: dict[str, int] = {}

    def claim(self, name: str) -> None:
        """Make sure that a resource of this name can be created.

        Raises:
            InvalidRequestError: it breaks the rules of the service.
            AlreadyExistsError: an old one of this name is still being deleted.
        """
        if not 3 <= len(name) <= 63:
            raise InvalidRequestError(
                f"{self._kind} name {name!r} has {len(name)} characters; 3 to 63 are allowed",
                status=400,
                code="OutOfRangeInput",
            )
        if self._pattern.fullmatch(name) is None or (self._kind == "table" and name.lower() == "tables"):
            raise InvalidRequestError(
                f"{self._kind} name {name!r} breaks the rules: "
                + (
                    "letters and digits, a letter first, not 'tables'"
                    if self._kind == "table"
                    else "lower-case letters, digits and single dashes between them"
                ),
                status=400,
                code="InvalidResourceName",
            )
        if self._free_at.get(name.lower(), 0) > self._clock():
            raise AlreadyExistsError(
                f"{self._kind} {name} is still being deleted; wait or take another name",
                status=409,
                code=f"{self._kind.capitalize()}BeingDeleted",
            )

    def bury(self, name: str) -> None:
        """The resource of this name has been deleted."""
        if self._deletion:
            self._free_at[name.lower()] = self._clock() + self._deletion
