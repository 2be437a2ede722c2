"""Random orchestrations with a sequential model: what each must return, whatever happens to the workers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from random import Random
from typing import Any

from durable_core.core.replay import OrchestrationRun
from durable_core.core.retry import RetryPolicy
from durable_core.core.tasks import WhenAllTask, WhenAnyTask
from durable_core.core.ticks import PER_SECOND
from durable_core.worker.functions import Functions
from tests.worker.world import Steps, call, decode, functions


@dataclass(frozen=True)
class Program:
    """The input of one instance, the events it needs, and its output."""

    steps: list[list[Any]]
    events: dict[str, Any]
    output: list[Any]


_SIMPLE = ["activity", "activity", "fan", "timer", "fails", "race", "retry"]


def random_program(random: Random, *, depth: int = 0) -> Program:
    """A program; only one that no other program calls waits for events, and children call children twice at most."""
    steps: list[list[Any]] = []
    events: dict[str, Any] = {}
    output: list[Any] = []
    kinds = [
        *_SIMPLE,
        "continue",
        *(["event", "event"] if depth == 0 else []),
        *(["child", "children"] if depth < 2 else []),
    ]
    for number in range(random.randint(1, 6 if depth == 0 else 2)):
        kind = random.choice(kinds)
        if kind == "activity":
            steps.append([kind, number])
            output.append(number * 2)
        elif kind == "fan":
            width = random.choice([2, 3, 9, 30, 120])
            steps.append([kind, width])
            output.append([item * 2 for item in range(width)])
        elif kind == "timer":
            steps.append([kind, random.choice([0, 1, 7, 30])])
            output.append("woke")
        elif kind == "event":
            name = f"event{number}"
            steps.append([kind, name])
            events[name] = random.randint(0, 99)
            output.append(events[name])
        elif kind == "fails":
            steps.append([kind, number])
            output.append(f"caught fails failed: no {number}")
        elif kind == "retry":
            steps.append([kind, number])
            output.append(f"gave up fails failed: no {number}")
        elif kind == "continue":
            steps.append([kind, None])
            output.append("again")
        elif kind in ("child", "children"):
            child = random_program(random, depth=depth + 1)
            width = 1 if kind == "child" else random.choice([2, 5])
            steps.append([kind, [width, child.steps]])
            output.append([child.output] * width)
        else:
            steps.append([kind, number])
            output.append("activity")
    return Program(steps, events, output)


def interpreter(run: OrchestrationRun) -> Steps:
    """Runs the steps of its input and returns what they gave; a generation hands the rest on to the next."""
    given = decode(run.input)
    steps, output = (given, []) if isinstance(given, list) else (given["steps"], given["output"])
    for position, (kind, argument) in enumerate(steps):
        if kind == "continue":
            output.append("again")
            run.custom_status = json.dumps({"done": len(output)})
            run.continue_as_new(json.dumps({"steps": steps[position + 1 :], "output": output}))
            return None
        output.append((yield from _step(run, kind, argument)))
        run.custom_status = json.dumps({"done": len(output)})
    return output


def _step(run: OrchestrationRun, kind: str, argument: Any) -> Steps:
    if kind == "activity":
        return (yield call(run, "double", argument))
    if kind == "fan":
        return (yield WhenAllTask([call(run, "double", item) for item in range(argument)]))
    if kind == "timer":
        yield run.create_timer(run.current_time + argument * PER_SECOND)
        return "woke"
    if kind == "event":
        return (yield run.wait_for_event(argument, decode))
    if kind in ("child", "children"):
        width, steps = argument
        child = json.dumps(steps)
        return (yield WhenAllTask([run.call_sub_orchestration("interpreter", child, decode) for _ in range(width)]))
    if kind == "fails":
        try:
            yield call(run, "fails", argument)
        except Exception as error:
            return f"caught {error}"
    if kind == "retry":
        try:
            yield run.call_with_retry(_POLICY, lambda: call(run, "fails", argument))
        except Exception as error:
            return f"gave up {error}"
    timer = run.create_timer(run.current_time + 900 * PER_SECOND)
    activity = call(run, "double", argument)
    winner = yield WhenAnyTask([timer, activity])
    timer.cancel()
    return "activity" if winner is activity else "timer"


_POLICY = RetryPolicy(5 * PER_SECOND, 3, coefficient=2.0)


def fails(value: Any) -> Any:
    raise ValueError(f"no {value}")


FUNCTIONS: Functions = functions({"interpreter": interpreter}, {"double": lambda value: value * 2, "fails": fails})
