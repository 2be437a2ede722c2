"""Processes on one virtual-time loop: each callback belongs to the process whose code made it.

A process can be killed between any two awaits of its tasks, as SIGKILL would, and stopped for a while, as a machine
that sleeps would stop it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextvars import ContextVar, copy_context
from dataclasses import dataclass, field
from random import Random
from typing import Any, TypeVar

from durable_core.testing.virtual_time import VirtualTimeLoop

T = TypeVar("T")


@dataclass(eq=False)
class SimulatedProcess:
    """A process of the simulation.

    Attributes:
        name: of its storage account.
        number: of a worker, counted from 0; the name of a client.
        steps_left: callbacks until it is killed, None while nobody wants that.
        resumes_at: virtual seconds; until then nothing of it runs.
        calls: storage calls made so far.
    """

    name: str
    number: int | str
    is_dead: bool = False
    steps_left: int | None = None
    resumes_at: float = 0.0
    calls: int = 0
    held: list[asyncio.Handle] = field(default_factory=list)

    def kill(self) -> None:
        """Nothing of it runs any more."""
        self.is_dead = True

    def spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Run ``work`` inside this process; the task never ends if the process is killed before it does."""
        context = copy_context()
        context.run(_PROCESS.set, self)
        return context.run(asyncio.ensure_future, work)


_PROCESS: ContextVar[SimulatedProcess | None] = ContextVar("process", default=None)


class ProcessLoop(VirtualTimeLoop):
    """Runs the callbacks of processes that live, in seeded order."""

    def __init__(self, random: Random | None, limit: float) -> None:
        super().__init__(random, limit)
        self._holding: set[SimulatedProcess] = set()
        self._abandoned: list[asyncio.Handle] = []

    def _step(self, handle: asyncio.Handle) -> None:
        process = handle._context.get(_PROCESS)  # type: ignore[attr-defined]
        if process is None or self.is_over:
            handle._run()
        elif process.is_dead:
            self._abandoned.append(handle)
        elif process.resumes_at > self._virtual:
            if process not in self._holding:
                self._holding.add(process)
                self.call_at(process.resumes_at, self._resume, process, context=_NOBODY)
            process.held.append(handle)
        else:
            handle._run()
            if process.steps_left is not None:
                process.steps_left -= 1
                if process.steps_left < 0:
                    process.kill()

    def _resume(self, process: SimulatedProcess) -> None:
        self._holding.discard(process)
        held, process.held = process.held, []
        self._ready.extend(held)  # type: ignore[attr-defined]

    def end(self) -> None:
        """Let also the tasks of dead processes come to their end: Python insists."""
        super().end()
        for process in [*self._holding]:
            self._resume(process)
        self._ready.extend(self._abandoned)  # type: ignore[attr-defined]
        self._abandoned.clear()


_NOBODY = copy_context()
