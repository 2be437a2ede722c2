"""What the command line and the management API tell about a hub's load (task-hub 10)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from durable_core.storage.base import StorageAccount
from durable_core.taskhub.existing import owners_of, partitions_of, unknown_hub
from durable_core.taskhub.names import HubNames
from durable_core.taskhub.scale import SAMPLES, HubSample, Recommendation, ScaleMonitor, sample, target_workers


@dataclass(frozen=True, slots=True)
class WorkerLimits:
    """What one worker of the hub does at once.

    Attributes:
        max_activities: activities running at once.
        max_orchestrators: episodes running at once.
        max_polling_interval: seconds of its longest pause between two polls.
    """

    max_activities: int
    max_orchestrators: int
    max_polling_interval: float = 30.0


@dataclass(frozen=True, slots=True)
class ScaleReport:
    """Queues, owners and advice.

    Attributes:
        sample: the latest look at the queues.
        owners: worker of each control queue, None for nobody.
        advice: of the scale monitor.
        target_workers: workers that the backlog keeps busy.
    """

    sample: HubSample
    owners: Mapping[str, str | None]
    advice: Recommendation
    target_workers: int

    @property
    def workers(self) -> int:
        """How many workers own partitions."""
        return _workers(self.owners)

    def to_json(self) -> dict[str, Any]:
        """The document that ``durable hub stats --json`` and the endpoint ``scale`` share."""
        return {
            "queues": [
                {
                    "queue": item.queue,
                    "messages": item.total,
                    "ageInSeconds": round(item.latency, 3),
                    "owner": self.owners.get(item.queue),
                }
                for item in (self.sample.work_items, *self.sample.control)
            ],
            "workers": self.workers,
            "targetWorkers": self.target_workers,
            "recommendation": {
                "action": self.advice.action.value,
                "reason": self.advice.reason,
                "keepWorkersAlive": self.advice.keep_alive,
            },
        }


async def report_scale(
    account: StorageAccount, names: HubNames, limits: WorkerLimits, *, interval: float
) -> ScaleReport:
    """Sample the queues as often as an advice needs, ``interval`` seconds apart, and advise.

    Raises:
        HubNotFoundError: there is no such hub.
        StorageError: storage could not be read.
    """
    if not await partitions_of(account, names):
        raise await unknown_hub(account, names.hub)
    monitor = ScaleMonitor(limits.max_polling_interval)
    latest = await sample(account, names)
    monitor.add(latest)
    for _ in range(SAMPLES - 1):
        await asyncio.sleep(interval)
        latest = await sample(account, names)
        monitor.add(latest)
    owners = await owners_of(account, names)
    wanted = target_workers(latest, max_activities=limits.max_activities, max_orchestrators=limits.max_orchestrators)
    return ScaleReport(latest, owners, monitor.recommend(_workers(owners)), wanted)


def _workers(owners: Mapping[str, str | None]) -> int:
    return len({owner for owner in owners.values() if owner})
