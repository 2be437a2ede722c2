"""Rows of the Partitions table and the changes that the lease protocol makes to them (task-hub 7.4)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from durable_core.core.ticks import PER_SECOND
from durable_core.errors import ConfigurationError, UndecodableMessageError
from durable_core.storage.base import Entity, Row
from durable_core.taskhub.columns import date_column, text_of, ticks_of

LEASE = 30 * PER_SECOND
"""How long a renewal keeps a partition, in ticks."""


@dataclass(frozen=True, slots=True)
class PartitionRow:
    """One partition; its id is the name of its control queue. Times are ticks."""

    partition: str
    current_owner: str | None = None
    next_owner: str | None = None
    owned_since: int | None = None
    last_renewal: int | None = None
    expires_at: int | None = None
    is_draining: bool = False
    etag: str | None = None

    # Primitive changes: each keeps the ETag that the row was read with.

    def claimed(self, me: str, now: int) -> PartitionRow:
        return PartitionRow(
            self.partition,
            current_owner=me,
            owned_since=now,
            last_renewal=now,
            expires_at=now + LEASE,
            etag=self.etag,
        )

    def renewed(self, now: int) -> PartitionRow:
        return replace(self, last_renewal=now, expires_at=now + LEASE)

    def stolen(self, me: str) -> PartitionRow:
        return replace(self, next_owner=me)

    def drained(self) -> PartitionRow:
        return replace(self, is_draining=True)

    def released(self) -> PartitionRow:
        return replace(self, is_draining=False, current_owner=None)

    def withdrawn(self) -> PartitionRow:
        """The worker that wanted it does not want it any more (.NET leaves its name there when it stops)."""
        return replace(self, next_owner=None)

    def is_expired(self, now: int) -> bool:
        return self.expires_at is not None and now >= self.expires_at

    def entity(self) -> Entity:
        """What a replace writes: a None vanishes from the row."""
        return {
            "PartitionKey": "",
            "RowKey": self.partition,
            "CurrentOwner": self.current_owner,
            "NextOwner": self.next_owner,
            "OwnedSince": date_column(self.owned_since),
            "LastRenewal": date_column(self.last_renewal),
            "ExpiresAt": date_column(self.expires_at),
            "IsDraining": self.is_draining,
        }


def new_row(partition: str) -> Entity:
    """The row of a partition that nobody ever owned."""
    return PartitionRow(partition).entity()


def read_partition(row: Row) -> PartitionRow:
    """A row of the table.

    Raises:
        UndecodableMessageError: a column cannot be read; the text names the partition.
    """
    values = row.values
    partition = str(values["RowKey"])
    try:
        return PartitionRow(
            partition,
            text_of(values.get("CurrentOwner")),
            text_of(values.get("NextOwner")),
            ticks_of(values.get("OwnedSince")),
            ticks_of(values.get("LastRenewal")),
            ticks_of(values.get("ExpiresAt")),
            values.get("IsDraining") is True,
            row.etag,
        )
    except ValueError as error:
        raise UndecodableMessageError(f"the Partitions row '{partition}' cannot be read: {error}") from error


def check_partitions(
    hub: str, rows: Sequence[PartitionRow], partitions: Collection[str], *, creating: bool = False
) -> None:
    """Make sure that a hub is divided as this process is configured.

    Instance ids are mapped to queues by the sender's own count (task-hub 2), so a process with another count would send
    to queues that nobody reads, and rows it added would stop everybody else.

    Args:
        partitions: the partitions that the configuration asks for.
        creating: rows may be missing as long as no worker ever owned one: an earlier creation was cut short.

    Raises:
        ConfigurationError: the table holds other partitions; the text gives both counts and the setting.
    """
    present = {row.partition for row in rows}
    if present == set(partitions):
        return
    if creating and present < set(partitions) and all(row.owned_since is None for row in rows):
        return
    raise ConfigurationError(
        f"Task hub {hub} has {len(present)} partitions, but this worker is configured for {len(partitions)}. All "
        "workers and clients of a hub must agree: set extensions.durableTask.storageProvider.partitionCount in "
        f"host.json to {len(present)}, or use another hub name."
    )
