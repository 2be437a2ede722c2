"""What may be wrong with a task hub: a list of checks, each with what it found and the way out."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum

from durable_core.core import ticks
from durable_core.core.ticks import PER_SECOND
from durable_core.errors import DurableError, NotFoundError, StorageError
from durable_core.taskhub.blob_leases import read_partition_count
from durable_core.taskhub.census import take_census
from durable_core.taskhub.existing import find_hubs, owners_of, partitions_of
from durable_core.taskhub.hub import TaskHub
from durable_core.taskhub.keys import escape_key
from durable_core.taskhub.scale import sample
from durable_core.taskhub.stuck import EventNames, Stuck, find_stuck, no_code

_SKEW_WARNING, _SKEW_PROBLEM = 5.0, 600.0
"""Seconds. Storage refuses requests that are 15 minutes off."""
_OLD_MESSAGE = 60.0
_MOST_BLOBS = 20_000
_SHOWN = 5


class Level(Enum):
    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found.

    Attributes:
        check: its name.
        details: more lines, e.g. one for each message or instance.
    """

    check: str
    level: Level
    text: str
    details: Sequence[str] = field(default_factory=list)


async def diagnose(
    hub: TaskHub, *, unmoved: float, most: int, wall: Callable[[], float] = time.time, events: EventNames = no_code
) -> tuple[list[Finding], list[Stuck]]:
    """Run every check; those that need a hub are left out if there is none.

    Args:
        unmoved: seconds after which a live instance that did nothing is looked into.
        most: look into this many of them.
        wall: this machine's clock, Unix seconds.
        events: names the external events that instances wait for.
    """
    findings = [await _reachable(hub)]
    if findings[0].level is Level.PROBLEM:
        return findings, []
    findings.append(_clock(hub, wall()))
    exists = await _exists(hub)
    findings.append(exists)
    if exists.level is Level.PROBLEM:
        return findings, []
    partitions = await partitions_of(hub.account, hub.names)
    if partitions:
        names = replace(hub.names, partition_count=len(partitions))
        hub = TaskHub(hub.account, names, hub.payloads.random)
    findings += [
        await _guarded("queues", _queues(hub)),
        await _guarded("poison messages", _poison(hub)),
        await _guarded("orphaned blobs", _blobs(hub)),
    ]
    stuck: list[Stuck] = []

    async def look() -> Finding:
        since = hub.now() - round(unmoved * PER_SECOND)
        found, number = await find_stuck(hub, unmoved_since=since, most=most, events=events)
        stuck.extend(found)
        return _stuck(found, number)

    findings.append(await _guarded("stuck instances", look()))
    return findings, stuck


async def _guarded(check: str, work: Awaitable[Finding]) -> Finding:
    """A check that cannot be made is a finding itself."""
    try:
        return await work
    except DurableError as error:
        return Finding(check, Level.PROBLEM, str(error))


async def _reachable(hub: TaskHub) -> Finding:
    account, begin = hub.account, time.monotonic()
    services = ("queues", "tables", "blobs")
    prefix = hub.names.hub
    answers = await asyncio.gather(
        account.queues.names(prefix.lower()),
        account.tables.names(prefix),
        account.blobs.containers(prefix.lower()),
        return_exceptions=True,
    )
    failures = []
    for service, answer in zip(services, answers, strict=True):
        if isinstance(answer, StorageError):
            failures.append(f"{service}: {answer}")
        elif isinstance(answer, BaseException):
            raise answer
    if failures:
        return Finding("storage", Level.PROBLEM, f"account '{account.name}' cannot be used", failures)
    took = (time.monotonic() - begin) * 1000
    return Finding("storage", Level.OK, f"account '{account.name}' answers: queues, tables and blobs in {took:.0f} ms")


def _clock(hub: TaskHub, wall: float) -> Finding:
    skew = ticks.to_unix(hub.now()) - wall
    text = f"this machine is {abs(skew):.1f} s {'behind' if skew > 0 else 'ahead of'} storage"
    if abs(skew) < 1:
        text = "this machine and storage agree"
    level = Level.PROBLEM if abs(skew) > _SKEW_PROBLEM else Level.WARNING if abs(skew) > _SKEW_WARNING else Level.OK
    return Finding("clock", level, text + (": set the clock" if level is not Level.OK else ""))


async def _exists(hub: TaskHub) -> Finding:
    names, account = hub.names, hub.account
    partitions = await partitions_of(account, names)
    tables = set(await account.tables.names(names.hub))
    if not partitions and names.instances not in tables:
        known = ", ".join(await find_hubs(account)) or "none"
        return Finding(
            "task hub", Level.PROBLEM, f"'{names.hub}' does not exist; the account has: {known}. A worker makes it."
        )
    missing = [table for table in (names.history, names.instances) if table not in tables]
    queues = set(await account.queues.names(names.hub.lower()))
    missing += [queue for queue in (names.work_items, *partitions) if queue not in queues]
    if missing:
        text = f"parts of '{names.hub}' are missing; `durable hub create` makes them"
        return Finding("task hub", Level.PROBLEM, text, missing)
    if len(partitions) != names.partition_count:
        return Finding(
            "task hub",
            Level.PROBLEM,
            f"'{names.hub}' has {len(partitions)} partitions, host.json says {names.partition_count}: set "
            f"extensions.durableTask.storageProvider.partitionCount to {len(partitions)}, or use another hub",
        )
    document = await read_partition_count(account.blobs, names)
    if document is not None and document != len(partitions):
        return Finding(
            "task hub",
            Level.PROBLEM,
            f"the Partitions table of '{names.hub}' has {len(partitions)} partitions, taskhub.json says {document}: "
            "workers of the two kinds write to different queues",
        )
    return Finding("task hub", Level.OK, f"'{names.hub}' with {len(partitions)} partitions")


async def _queues(hub: TaskHub) -> Finding:
    found = await sample(hub.account, hub.names)
    owners = await owners_of(hub.account, hub.names)
    waiting = [item for item in (found.work_items, *found.control) if item.latency > _OLD_MESSAGE]
    total = sum(item.total for item in (found.work_items, *found.control))
    workers = {owner for owner in owners.values() if owner}
    text = f"{total} messages, {len(workers)} worker(s)"
    if waiting:
        details = [
            f"{item.queue}: {item.total} messages, the first visible one {item.latency:.0f} s old; owner: "
            f"{owners.get(item.queue) or 'nobody'}"
            for item in waiting
        ]
        if not workers:
            return Finding("queues", Level.PROBLEM, f"{text}: messages wait and no worker runs", details)
        return Finding("queues", Level.WARNING, f"{text}: messages wait for long; `durable hub stats` tells", details)
    if not workers:
        return Finding("queues", Level.WARNING, f"{text}: start one with `durable start`")
    nobody = [queue for queue, owner in owners.items() if owner is None]
    if nobody:
        return Finding("queues", Level.WARNING, f"{text}; partitions that nobody owns at the moment", nobody)
    return Finding("queues", Level.OK, text)


async def _poison(hub: TaskHub) -> Finding:
    found = await hub.poison.list()
    if not found:
        return Finding("poison messages", Level.OK, "none")
    details = [f"{message.id} of {message.queue}: {message.reason}" for message in found[:_SHOWN]]
    return Finding(
        "poison messages", Level.PROBLEM, f"{len(found)} set aside; `durable poison list` shows them", details
    )


async def _blobs(hub: TaskHub) -> Finding:
    try:
        census = await take_census(hub, with_keys=True)
    except NotFoundError:
        return Finding("orphaned blobs", Level.OK, "no instances")
    orphans: dict[str, int] = {}
    number = size = 0
    async for blob in hub.account.blobs.list(hub.names.large_messages):
        number += 1
        folder = blob.name.partition("/")[0]
        if folder not in census.keys and escape_key(folder) not in census.keys:
            orphans[folder] = orphans.get(folder, 0) + 1
            size += blob.size
        if number >= _MOST_BLOBS:
            break
    looked = f"the first {number}" if number >= _MOST_BLOBS else f"{number}"
    if not orphans:
        return Finding("orphaned blobs", Level.OK, f"none; {looked} blobs of large values")
    details = [f"{folder}: {count} blob(s)" for folder, count in list(orphans.items())[:_SHOWN]]
    text = (
        f"{sum(orphans.values())} of {looked} blobs ({size} bytes) belong to no instance; they cost space and do no "
        f"harm. Delete their folders from container {hub.names.large_messages}"
    )
    return Finding("orphaned blobs", Level.WARNING, text, details)


def _stuck(found: Sequence[Stuck], number: int) -> Finding:
    if not number:
        return Finding("stuck instances", Level.OK, "none")
    trouble = sum(item.is_trouble for item in found)
    text = f"{number} live instance(s) have not moved for long"
    if number > len(found):
        text += f"; the first {len(found)} were looked into"
    if trouble:
        return Finding("stuck instances", Level.PROBLEM, f"{text}; {trouble} of them will not go on by themselves")
    return Finding("stuck instances", Level.OK, f"{text}; each waits for something that may still come")
