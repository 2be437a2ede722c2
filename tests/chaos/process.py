"""One worker in a process of its own, as a host would run it."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from random import Random

from durable_core.storage.azure import open_account
from durable_core.storage.settings import parse_connection_string
from durable_core.taskhub.hub import TaskHub
from durable_core.taskhub.names import HubNames
from durable_core.worker.identity import WorkerIdentity
from durable_core.worker.lease_thread import LeaseThread
from durable_core.worker.message_leases import MessageLeases
from durable_core.worker.settings import WorkerSettings
from durable_core.worker.user_code import ThreadedUserCode
from durable_core.worker.worker import TaskHubWorker
from tests.chaos.programs import FUNCTIONS

_CONTEXT = get_context("forkserver")
_CONTEXT.set_forkserver_preload([__name__])


@dataclass(frozen=True, slots=True)
class WorkerArguments:
    """What a worker process is told.

    Attributes:
        machine: name that its worker id begins with. The death of a worker of one's own machine is noticed at once;
            that of another one when its leases end.
    """

    connection: str
    hub: str
    folder: Path
    machine: str
    number: int


def spawn(arguments: WorkerArguments) -> BaseProcess:
    """Start a worker; ``kill`` of the process is SIGKILL."""
    process = _CONTEXT.Process(target=_run, args=(arguments,), daemon=True, name=f"worker-{arguments.number}")
    process.start()
    return process


def _run(arguments: WorkerArguments) -> None:
    logging.basicConfig(
        filename=arguments.folder / f"worker-{arguments.number}.log",
        level=logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
    )
    asyncio.run(_work(arguments))


async def _work(arguments: WorkerArguments) -> None:
    connection, names = parse_connection_string(arguments.connection), HubNames(arguments.hub)
    account = open_account(connection)
    settings = WorkerSettings(max_concurrent_activities=6, max_concurrent_orchestrators=6)
    leases = MessageLeases(
        account.queues, lease=settings.message_lease, renewal=settings.message_renewal, monotonic=time.monotonic
    )
    identity = WorkerIdentity(arguments.folder / arguments.machine, arguments.machine)
    ownership = LeaseThread(lambda: open_account(connection), names, leases, identity)
    random = Random()
    worker = TaskHubWorker(
        TaskHub(account, names, random),
        FUNCTIONS,
        settings,
        ownership=ownership,
        leases=leases,
        user_code=ThreadedUserCode(12),
        random=random,
    )
    await worker.start()
    await asyncio.Event().wait()
