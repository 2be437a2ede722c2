"""Which instances to list or purge, and a page of them (task-hub 8.7)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from durable_core.core.history import OrchestrationStatus
from durable_core.taskhub.instance_table import InstanceStatus, instance_filter


@dataclass(frozen=True, slots=True)
class InstanceFilter:
    """Conditions that all hold; without any, every instance is meant.

    Attributes:
        created_from, created_to: ticks, both inclusive.
        statuses: any of these; empty means any status.
        prefix: of the instance id.
        include_entities: entities are instances too; they are left out unless this is set or ``prefix`` asks for them.
    """

    created_from: int | None = None
    created_to: int | None = None
    statuses: Collection[OrchestrationStatus] = ()
    prefix: str = ""
    include_entities: bool = False

    def odata(self) -> str:
        """The service's form of it, empty if nothing is asked for."""
        return instance_filter(
            created_from=self.created_from,
            created_to=self.created_to,
            statuses=self.statuses,
            prefix=self.prefix,
            exclude_entities=not self.include_entities,
        )

    def finished(self) -> InstanceFilter:
        """The same for a purge: finished instances only.

        Raises:
            ValueError: a status is asked for that is not final.
        """
        live = [status.name for status in self.statuses if not status.is_finished]
        final = [status for status in OrchestrationStatus if status.is_finished]
        if live:
            raise ValueError(
                f"only finished instances can be purged ({', '.join(status.name for status in final)}), not those with "
                f"runtimeStatus {', '.join(live)}"
            )
        return replace(self, statuses=self.statuses or final)


@dataclass(frozen=True, slots=True)
class InstancePage:
    """A part of a list, possibly empty; ``continuation`` asks for the next, None behind the last."""

    instances: Sequence[InstanceStatus]
    continuation: str | None = None


@dataclass(frozen=True, slots=True)
class PurgeResult:
    """What a purge removed; one that is not complete goes on when it is called again."""

    deleted: int
    is_complete: bool = True
