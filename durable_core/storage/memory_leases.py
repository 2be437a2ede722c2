"""The lease on a container or blob: one holder at a time, until its time is up (task-hub 7.2, 7.5)."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from durable_core.core.ticks import PER_SECOND
from durable_core.errors import InvalidRequestError, PreconditionFailedError

_SHORTEST, _LONGEST, _INFINITE = 15, 60, -1


@dataclass(slots=True)
class Lease:
    """What the service knows about one lease; all times are its clock's ticks.

    Attributes:
        of: ``Container`` or ``Blob``, as it stands in error codes.
        id: of the holder, or of the last one, who may renew an expired lease as long as nothing came between.
        ends: when it runs out; None for never.
    """

    of: str
    id: str | None = None
    ends: int | None = 0
    seconds: int = 0

    def is_held(self, now: int) -> bool:
        return self.id is not None and (self.ends is None or self.ends > now)

    def acquire(self, id: str, seconds: int, now: int) -> None:
        """Take it, or take it again under the same id with a new length.

        Args:
            seconds: 15 to 60, or -1 for ever.

        Raises:
            InvalidRequestError: another length, or an id that is no GUID.
            PreconditionFailedError: somebody else holds it.
        """
        if seconds != _INFINITE and not _SHORTEST <= seconds <= _LONGEST:
            raise InvalidRequestError(
                f"a lease of {seconds} s; {_SHORTEST} to {_LONGEST}, or {_INFINITE} for ever, are allowed",
                status=400,
                code="InvalidHeaderValue",
            )
        _check_guid(id)
        if self.is_held(now) and self.id != id:
            raise PreconditionFailedError("somebody else holds the lease", status=409, code="LeaseAlreadyPresent")
        self.id, self.seconds = id, seconds
        self._extend(now)

    def renew(self, id: str, now: int) -> None:
        """Start its time anew; also after it ran out, if nobody took or wrote anything meanwhile."""
        self._check_mine(id)
        self._extend(now)

    def change(self, id: str, proposed: str, now: int) -> None:
        """Hand it over from ``id`` to ``proposed``; done already is fine."""
        _check_guid(proposed)
        if not self.is_held(now):
            raise PreconditionFailedError(
                "there is no lease that could be changed", status=409, code="LeaseNotPresentWithLeaseOperation"
            )
        if self.id not in (id, proposed):
            raise _mismatch()
        self.id = proposed

    def release(self, id: str) -> None:
        self._check_mine(id)
        self.id = None

    def check_write(self, presented: str | None, now: int) -> None:
        """Refuse a write or deletion that does not show the id of the lease, or shows one that holds nothing."""
        held = self.is_held(now)
        if held and presented is None:
            raise _refused("there is a lease on it", "LeaseIdMissing")
        if presented is None or (held and self.id == presented):
            return
        if held:
            raise _refused("the lease id is not the current one", f"LeaseIdMismatchWith{self.of}Operation")
        if self.id == presented:
            raise _refused("the lease ran out", "LeaseLost")
        raise _refused("there is no lease on it", f"LeaseNotPresentWith{self.of}Operation")

    def note_write(self, now: int) -> None:
        """After a write the last holder of a lease that ran out cannot renew it any more."""
        if not self.is_held(now):
            self.id = None

    def _extend(self, now: int) -> None:
        self.ends = None if self.seconds == _INFINITE else now + self.seconds * PER_SECOND

    def _check_mine(self, id: str) -> None:
        if self.id != id:
            raise _mismatch()


def _mismatch() -> PreconditionFailedError:
    return PreconditionFailedError(
        "the lease is not held under that id", status=409, code="LeaseIdMismatchWithLeaseOperation"
    )


def _refused(text: str, code: str) -> PreconditionFailedError:
    return PreconditionFailedError(text, status=412, code=code)


def _check_guid(id: str) -> None:
    try:
        uuid.UUID(id)
    except ValueError as error:
        raise InvalidRequestError(f"lease id {id!r} is no GUID", status=400, code="InvalidHeaderValue") from error
