"""May an instance of this version run on this worker? (orchestration-semantics 3.12)"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

_SMALLEST_PARTS, _MOST_PARTS = 2, 4


class VersionMatch(Enum):
    """Which instances a worker takes (host.json ``versionMatchStrategy``)."""

    NONE = "None"
    STRICT = "Strict"
    CURRENT_OR_OLDER = "CurrentOrOlder"


class VersionFailure(Enum):
    """What becomes of the others (host.json ``versionFailureStrategy``)."""

    REJECT = "Reject"
    """They stay as they are, for another worker."""
    FAIL = "Fail"


@dataclass(frozen=True, slots=True)
class Versioning:
    """The version rules of one worker.

    Attributes:
        version: the worker's own version, None if it has none: then every instance runs here.
    """

    version: str | None = None
    match: VersionMatch = VersionMatch.CURRENT_OR_OLDER
    failure: VersionFailure = VersionFailure.REJECT

    def accepts(self, version: str | None) -> bool:
        """An instance of ``version`` may run here."""
        if self.version is None or self.match is VersionMatch.NONE:
            return True
        if self.match is VersionMatch.STRICT:
            return version == self.version
        return compare(version, self.version) <= 0

    def mismatch(self, version: str | None) -> str:
        """Why an instance of ``version`` does not run here."""
        relation = "does not match" if self.match is VersionMatch.STRICT else "is newer than"
        return (
            f"The orchestration version '{version or ''}' {relation} the worker version '{self.version or ''}' "
            f"(versionMatchStrategy {self.match.value})."
        )


def compare(one: str | None, other: str | None) -> int:
    """Negative if ``one`` is older, positive if it is newer, 0 if the versions are equal (behaviour 98).

    Blank is oldest; dotted numbers of two to four parts compare by number, anything else as text ignoring case.
    """
    one, other = (one or "").strip(), (other or "").strip()
    if not one or not other:
        return bool(one) - bool(other)
    numbers, others = _numbers(one), _numbers(other)
    if numbers is not None and others is not None:
        return (numbers > others) - (numbers < others)
    left, right = one.upper(), other.upper()
    return (left > right) - (left < right)


def _numbers(text: str) -> tuple[int, ...] | None:
    parts = text.split(".")
    if not _SMALLEST_PARTS <= len(parts) <= _MOST_PARTS:
        return None
    if not all(part.isascii() and part.isdigit() for part in parts):
        return None
    return tuple(int(part) for part in parts)
