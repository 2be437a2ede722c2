"""How many instances a hub holds in each status, and how many entities."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from durable_core.core.entity_ids import is_entity
from durable_core.taskhub.hub import TaskHub
from durable_core.taskhub.instance_table import ALL_INSTANCES


@dataclass(slots=True)
class Census:
    """Attributes:
    by_status: orchestration instances by the name of their status.
    keys: partition keys of everything counted, if they were asked for.
    """

    by_status: Counter[str] = field(default_factory=Counter)
    entities: int = 0
    keys: set[str] = field(default_factory=set)

    @property
    def total(self) -> int:
        return sum(self.by_status.values()) + self.entities


async def take_census(hub: TaskHub, *, with_keys: bool = False, told: Callable[[int], None] = lambda _: None) -> Census:
    """Count every row: one storage call for each thousand.

    Args:
        told: called with the number so far, after each page.

    Raises:
        NotFoundError: the hub does not exist.
    """
    census = Census()
    continuation: str | None = None
    while True:
        page = await hub.account.tables.query(
            hub.names.instances,
            ALL_INSTANCES,
            select=("PartitionKey", "RuntimeStatus"),
            continuation=continuation,
        )
        for row in page.rows:
            key = str(row.values["PartitionKey"])
            if is_entity(key):
                census.entities += 1
            else:
                census.by_status[str(row.values.get("RuntimeStatus"))] += 1
            if with_keys:
                census.keys.add(key)
        continuation = page.continuation
        if continuation is None:
            return census
        told(census.total)
