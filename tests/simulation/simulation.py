"""One run of a plan: workers on a virtual clock to which everything happens that may, and the checks at the end."""

from __future__ import annotations

import asyncio
from random import Random

from durable_core.storage.memory import StorageCall
from durable_core.testing.virtual_time import run_on
from tests.simulation.checks import check
from tests.simulation.drive import Driver, hub_is_there, send_signals
from tests.simulation.plan import Plan, random_plan
from tests.simulation.scene import Scene
from tests.simulation.scheduler import ProcessLoop

_LIMIT = 12 * 3600.0
_LONGEST_AFTERWARDS = 4000.0
"""Virtual seconds after which no message may be left: a start that no row explains is given up after 1,100."""
_SILENCE = 45.0
"""Virtual seconds that pass when no message is left and no request is late, in which what is under way ends."""


def simulate(plan: Plan, trace: list[StorageCall] | None = None) -> None:
    """Carry a plan out.

    Args:
        trace: takes every storage call, in order: equal for equal plans.

    Raises:
        AssertionError: a promise is broken.
    """
    loop = ProcessLoop(Random(f"{plan.seed}/order"), _LIMIT)
    run_on(loop, _simulate(plan, trace))


def simulate_seed(seed: int) -> None:
    """Carry out the plan of a seed."""
    simulate(random_plan(seed))


async def _simulate(plan: Plan, trace: list[StorageCall] | None) -> None:
    scene = Scene(plan)
    scene.trace = trace
    supervisor = asyncio.create_task(scene.supervise())
    await hub_is_there(scene)
    await asyncio.gather(send_signals(scene, plan), *(Driver(scene, instance).run() for instance in plan.instances))
    scene.is_calm = True
    loop = asyncio.get_running_loop()
    end = loop.time() + _LONGEST_AFTERWARDS
    silent_since = loop.time()
    while loop.time() < end and loop.time() < silent_since + _SILENCE:
        await asyncio.sleep(5)
        if scene.left_over() or scene.storage.under_way:
            silent_since = loop.time()
    supervisor.cancel()
    await asyncio.wait([supervisor])
    await check(scene, plan)
