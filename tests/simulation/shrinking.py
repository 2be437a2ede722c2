"""Makes a failing plan smaller: delta debugging over its faults, instances, lives, steps and oddities."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from tests.simulation.plan import Instance, Life, Plan
from tests.simulation.simulation import simulate

T = TypeVar("T")

_SEEDS = 2
"""Other orders of the scheduler that are tried for a smaller plan: what is left out changes the timing of the rest."""


def failure(plan: Plan) -> str | None:
    """What goes wrong with a plan, in one text; None if nothing does."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        simulate(plan)
    except Exception as error:  # a broken promise, or a defect that ended the run
        return f"{type(error).__name__}: {error}"
    finally:
        logging.disable(before)
    return None


def shrink(
    plan: Plan, *, tries: int = 400, fails: Callable[[Plan], bool] = lambda plan: failure(plan) is not None
) -> Plan:
    """A smaller plan that fails as well; ``plan`` itself if none is found.

    Args:
        tries: runs that this may take.
        fails: tells whether a plan fails.
    """
    left = tries
    goes_on = True
    while goes_on and left > 0:
        goes_on = False
        for smaller in _smaller(plan):
            for seed in range(plan.seed, plan.seed + _SEEDS):
                left -= 1
                candidate = replace(smaller, seed=seed)
                if fails(candidate):
                    plan, goes_on = candidate, True
                    break
                if left <= 0:
                    return plan
            if goes_on:
                break
    return plan


def _smaller(plan: Plan) -> Iterator[Plan]:
    """Smaller plans, those that leave out most first."""
    for instances in _without(plan.instances):
        yield replace(plan, instances=tuple(instances))
    for faults in _without(plan.faults):
        yield replace(plan, faults=tuple(faults))
    for signals in _without(plan.signals):
        yield replace(plan, signals=tuple(signals))
    if plan.oddities:
        yield replace(plan, oddities=0)
    if plan.workers > 1:
        yield replace(plan, workers=plan.workers - 1)
    if plan.settings:
        yield replace(plan, settings={})
    for number, instance in enumerate(plan.instances):
        for smaller in _smaller_instances(instance):
            yield replace(plan, instances=(*plan.instances[:number], smaller, *plan.instances[number + 1 :]))


def _smaller_instances(instance: Instance) -> Iterator[Instance]:
    for lives in _without(instance.lives):
        if lives and not lives[0].again:
            yield replace(instance, lives=tuple(lives))
    if instance.is_local or instance.skew:
        yield replace(instance, is_local=False, skew=0)
    for number, life in enumerate(instance.lives):
        for smaller in _smaller_lives(life):
            yield replace(instance, lives=(*instance.lives[:number], smaller, *instance.lives[number + 1 :]))


def _smaller_lives(life: Life) -> Iterator[Life]:
    for program in _smaller_programs(life.program):
        yield replace(life, program=program)
    if life.pause is not None:
        yield replace(life, pause=None)
    if life.start_at is not None:
        yield replace(life, start_at=None)
    if life.purge:
        yield replace(life, purge=False)
    if any(life.wait):
        yield replace(life, wait=(0, 0, 0))


def _smaller_programs(program: list[list[Any]]) -> Iterator[list[list[Any]]]:
    for steps in _without(program):
        if steps:
            yield list(steps)
    for number, (kind, *rest) in enumerate(program):
        if kind in ("child", "children", "detached"):
            width, child, name = rest[0]
            for smaller in _smaller_programs(child):
                yield [*program[:number], [kind, [width, smaller, name]], *program[number + 1 :]]


def _without(items: Sequence[T]) -> Iterator[Sequence[T]]:
    """``items`` without a half, a quarter, … of them, at last without each one."""
    size = max(1, len(items) // 2)
    while items:
        for begin in range(0, len(items), size):
            yield (*items[:begin], *items[begin + size :])
        if size == 1:
            return
        size //= 2
