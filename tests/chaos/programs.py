"""Orchestrations of the chaos test; each one's output is known beforehand, however often its worker dies."""

from __future__ import annotations

import time
from dataclasses import dataclass
from random import Random
from typing import Any

from durable_core.core.replay import OrchestrationRun
from durable_core.core.retry import RetryPolicy
from durable_core.core.tasks import WhenAllTask
from durable_core.core.ticks import PER_SECOND
from tests.worker.world import Steps, call, decode, encode, functions


def chain(run: OrchestrationRun) -> Steps:
    results = []
    for number in range(decode(run.input)):
        results.append((yield call(run, "work", number)))
    return results


def fan(run: OrchestrationRun) -> Steps:
    results = yield WhenAllTask([call(run, "work", number) for number in range(decode(run.input))])
    return sum(results)


def nap(run: OrchestrationRun) -> Steps:
    for _ in range(3):
        yield run.create_timer(run.current_time + round(decode(run.input) * PER_SECOND))
    return "woke"


def two_events(run: OrchestrationRun) -> Steps:
    first = yield run.wait_for_event("first", decode)
    second = yield run.wait_for_event("second", decode)
    return [first, second]


def parent(run: OrchestrationRun) -> Steps:
    children = [run.call_sub_orchestration("chain", encode(2), decode), run.call_sub_orchestration("fan", "4", decode)]
    return (yield WhenAllTask(children))


def retried(run: OrchestrationRun) -> Steps:
    policy = RetryPolicy(PER_SECOND // 2, 3)
    try:
        yield run.call_with_retry(policy, lambda: call(run, "fails"))
    except Exception as error:
        return str(error)


def generations(run: OrchestrationRun) -> Steps:
    number = decode(run.input)
    yield call(run, "work", number)
    if number == 4:
        return number
    run.continue_as_new(encode(number + 1))


def work(number: Any) -> Any:
    time.sleep(0.05)
    return number


def fails(_: Any) -> Any:
    raise ValueError("never works")


FUNCTIONS = functions(
    {body.__name__: body for body in (chain, fan, nap, two_events, parent, retried, generations)},
    {"work": work, "fails": fails},
)


@dataclass(frozen=True, slots=True)
class Program:
    """One instance to start, and the output it must have."""

    name: str
    input: Any
    output: Any
    events: tuple[str, ...] = ()


def draw(random: Random) -> Program:
    """A random program."""
    size = random.randint(2, 8)
    return random.choice(
        [
            Program("chain", size, list(range(size))),
            Program("fan", size * 3, sum(range(size * 3))),
            Program("nap", size / 4, "woke"),
            Program("two_events", None, ["first", "second"], ("first", "second")),
            Program("parent", None, [[0, 1], 6]),
            Program("retried", None, "fails failed: never works"),
            Program("generations", 1, 4),
        ]
    )
