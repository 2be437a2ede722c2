"""What everything in a task hub is called (task-hub 1)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from durable_core.errors import ConfigurationError

MAX_PARTITIONS = 16
_LONGEST_HUB = 45
_HUB = re.compile(r"[A-Za-z][A-Za-z0-9]{2,44}")


@dataclass(frozen=True, slots=True)
class HubNames:
    """Names of one hub's resources; ``hub`` keeps its casing in tables and loses it in queues and containers.

    Args:
        hub: 3 to 45 letters and digits, a letter first.
        partition_count: number of control queues, 1 to 16; must be the same for every writer of the hub.
        tracking_prefix: prefix of the History and Instances tables in a separate tracking store (task-hub 1.2).

    Raises:
        ConfigurationError: a value is outside these rules.
    """

    hub: str
    partition_count: int = 4
    tracking_prefix: str | None = None

    def __post_init__(self) -> None:
        if not _HUB.fullmatch(self.hub):
            raise ConfigurationError(
                f"Task hub name '{self.hub}' should contain only alphanumeric characters, start with a letter, and "
                f"have length between 3 and {_LONGEST_HUB}. Set extensions.durableTask.hubName in host.json."
            )
        if not 1 <= self.partition_count <= MAX_PARTITIONS:
            raise ConfigurationError(
                f"PartitionCount must be an integer value between 1 and {MAX_PARTITIONS}, but "
                f"extensions.durableTask.storageProvider.partitionCount is {self.partition_count}."
            )

    @property
    def _lower(self) -> str:
        return self.hub.lower()

    def control_queue(self, partition: int) -> str:
        """Queue, and id, of one partition."""
        return f"{self._lower}-control-{partition:02d}"

    @property
    def control_queues(self) -> list[str]:
        return [self.control_queue(partition) for partition in range(self.partition_count)]

    @property
    def work_items(self) -> str:
        return f"{self._lower}-workitems"

    @property
    def history(self) -> str:
        return f"{self.tracking_prefix or self.hub}History"

    @property
    def instances(self) -> str:
        return f"{self.tracking_prefix or self.hub}Instances"

    @property
    def partitions(self) -> str:
        return f"{self.hub}Partitions"

    @property
    def poison(self) -> str:
        """Table of the messages that were set aside; ours alone."""
        return f"{self.hub}Poison"

    @property
    def app_lease(self) -> str:
        """Container whose lease is the app lease."""
        return f"{self._lower}-applease"

    @property
    def app_lease_info(self) -> str:
        """Blob inside ``app_lease``."""
        return f"{self._lower}-appleaseinfo"

    @property
    def leases(self) -> str:
        """Container of the blob partition manager's leases."""
        return f"{self._lower}-leases"

    @property
    def task_hub_info(self) -> str:
        """Blob inside ``leases`` that tells the partition count."""
        return "taskhub.json"

    @property
    def large_messages(self) -> str:
        return f"{self._lower}-largemessages"


def is_hub_name(name: str) -> bool:
    """The name follows the rules of ``HubNames``."""
    return _HUB.fullmatch(name) is not None


def default_hub_name(environ: Mapping[str, str]) -> str:
    """Hub of an app that configures none: its site name made fit, else ``TestHubName`` (task-hub 1.5).

    Raises:
        ConfigurationError: a deployment slot needs a name of its own.
    """
    site = environ.get("WEBSITE_SITE_NAME")
    slot = environ.get("WEBSITE_SLOT_NAME", "")
    if slot and slot.lower() != "production":
        raise ConfigurationError(
            f"Deployment slot '{slot}' must not share the default task hub: set extensions.durableTask.hubName in "
            "host.json, for example to an app setting that differs between slots."
        )
    if not site:
        return "TestHubName"
    name = re.sub(r"[^A-Za-z0-9]", "", site)
    if not name:
        return "DefaultTaskHub"
    if name[0].isdigit():
        name = f"t{name}"
    name = name[:_LONGEST_HUB]
    return name if len(name) >= 3 else f"{name}Hub"
