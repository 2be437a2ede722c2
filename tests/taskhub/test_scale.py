"""Scale signals: what the queues say, and the advice that follows from it (task-hub 10)."""

from __future__ import annotations

from random import Random

import pytest

from durable_core.storage.base import StorageAccount
from durable_core.storage.memory import MemoryStorage
from durable_core.taskhub.hub import TaskHub
from durable_core.taskhub.names import HubNames
from durable_core.taskhub.scale import (
    SAMPLES,
    HubSample,
    QueueSample,
    Recommendation,
    ScaleAction,
    ScaleMonitor,
    sample,
    target_workers,
)
from durable_core.testing.virtual_time import EPOCH

NAMES = HubNames("TestHub")
ADD, REMOVE, NONE = ScaleAction.ADD_WORKER, ScaleAction.REMOVE_WORKER, ScaleAction.NONE


class Clock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> int:
        return EPOCH + int(self.seconds * 10_000_000)


async def hub() -> tuple[StorageAccount, Clock]:
    clock = Clock()
    account = MemoryStorage(clock.now).account()
    await TaskHub(account, NAMES, Random(0)).create()
    return account, clock


async def test_a_sample_tells_lengths_and_the_age_of_the_first_visible_message() -> None:
    account, clock = await hub()
    await account.queues.put(NAMES.work_items, "a")
    await account.queues.put(NAMES.control_queue(1), "hidden", delay=100)
    clock.seconds = 7
    await account.queues.put(NAMES.work_items, "b")
    found = await sample(account, NAMES)
    assert found.work_items == QueueSample(NAMES.work_items, total=2, length=2, latency=7.0)
    assert [queue.queue for queue in found.control] == NAMES.control_queues
    assert found.control[1] == QueueSample(NAMES.control_queue(1), total=1, length=0, latency=0.0)
    assert found.control[0] == QueueSample(NAMES.control_queue(0), 0, 0, 0.0)


async def test_the_partitions_are_those_of_the_hub_not_those_that_are_configured() -> None:
    account, _ = await hub()
    found = await sample(account, HubNames("TestHub", 2))
    assert len(found.control) == 4
    assert len((await sample(account, HubNames("Nothing", 3))).control) == 3


def taken(work: float, *control: float) -> HubSample:
    def queue(name: str, latency: float) -> QueueSample:
        return QueueSample(name, 1 if latency else 0, 1 if latency else 0, latency)

    return HubSample(0, queue("w", work), tuple(queue(f"c{index}", latency) for index, latency in enumerate(control)))


def advice(samples: list[HubSample], workers: int, seed: int = 0) -> Recommendation:
    monitor = ScaleMonitor(random=Random(seed))
    for item in samples:
        monitor.add(item)
    return monitor.recommend(workers)


IDLE = taken(0, 0, 0, 0, 0)
LOW = taken(0.1, 0.1, 0.1, 0.1, 0.1)


@pytest.mark.parametrize(
    ("samples", "workers", "action"),
    [
        ([taken(1, 0)], 0, ADD),
        ([IDLE] * 4, 3, NONE),
        ([IDLE] * 5, 3, REMOVE),
        ([IDLE] * 5, 0, NONE),
        ([taken(2, 0, 0, 0, 0)] * 5, 1, ADD),
        ([IDLE, IDLE, IDLE, IDLE, taken(20, 0, 0, 0, 0)], 1, NONE),
        ([IDLE, IDLE, IDLE, IDLE, taken(31, 0, 0, 0, 0)], 1, ADD),
        ([taken(0, 0.1, 0.1, 0.1, 0.1)] * 5, 5, REMOVE),
        ([taken(0, 2, 2, 0.5, 0.5)] * 5, 1, ADD),
        ([taken(0, 2, 2, 0.5, 0.5)] * 5, 2, NONE),
        ([taken(0, 0.5, 0.5, 0, 0)] * 5, 3, REMOVE),
        ([taken(0.5, 0.5, 0.5, 0.5, 0.5)] * 5, 2, NONE),
    ],
)
def test_the_advice_follows_the_rules_first_match_wins(
    samples: list[HubSample], workers: int, action: ScaleAction
) -> None:
    found = advice(samples, workers)
    assert found.action is action, found.reason


def test_with_low_latencies_one_advice_in_ten_tries_with_a_worker_less() -> None:
    actions = [advice([LOW] * SAMPLES, 2, seed).action for seed in range(1000)]
    assert 60 < actions.count(REMOVE) < 140
    assert actions.count(REMOVE) + actions.count(NONE) == 1000


def test_the_last_worker_stays_while_anything_was_seen() -> None:
    assert advice([taken(0, 0.1, 0, 0, 0), *[IDLE] * 4], 1).keep_alive
    assert not advice([IDLE] * 5, 1).keep_alive


@pytest.mark.parametrize(
    ("work", "control", "workers"),
    [(0, [0, 0, 0, 0], 0), (25, [0] * 4, 3), (0, [100, 0, 0, 0], 1), (0, [30, 30, 30, 30], 3), (5, [1, 1, 0, 0], 1)],
)
def test_target_based_scaling(work: int, control: list[int], workers: int) -> None:
    found = HubSample(
        0, QueueSample("w", work, work, 1.0), tuple(QueueSample(f"c{i}", n, n, 1.0) for i, n in enumerate(control))
    )
    assert target_workers(found, max_activities=10, max_orchestrators=50) == workers
