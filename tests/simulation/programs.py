"""Random orchestrations with a sequential model: what each must return, whatever happens to the workers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from random import Random
from typing import Any

from durable_core.core.replay import OrchestrationRun
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


def random_program(random: Random) -> Program:
    steps: list[list[Any]] = []
    events: dict[str, Any] = {}
    output: list[Any] = []
    for number in range(random.randint(1, 6)):
        kind = random.choice(["activity", "activity", "fan", "timer", "event", "fails", "race"])
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
        else:
            steps.append([kind, number])
            output.append("activity")
    return Program(steps, events, output)


def interpreter(run: OrchestrationRun) -> Steps:
    """Runs the steps of its input and returns what they gave."""
    output: list[Any] = []
    for kind, argument in decode(run.input):
        if kind == "activity":
            output.append((yield call(run, "double", argument)))
        elif kind == "fan":
            output.append((yield WhenAllTask([call(run, "double", item) for item in range(argument)])))
        elif kind == "timer":
            yield run.create_timer(run.current_time + argument * PER_SECOND)
            output.append("woke")
        elif kind == "event":
            output.append((yield run.wait_for_event(argument, decode)))
        elif kind == "fails":
            try:
                yield call(run, "fails", argument)
            except Exception as error:
                output.append(f"caught {error}")
        else:
            timer = run.create_timer(run.current_time + 900 * PER_SECOND)
            activity = call(run, "double", argument)
            winner = yield WhenAnyTask([timer, activity])
            timer.cancel()
            output.append("activity" if winner is activity else "timer")
        run.custom_status = json.dumps({"done": len(output)})
    return output


def fails(value: Any) -> Any:
    raise ValueError(f"no {value}")


FUNCTIONS: Functions = functions({"interpreter": interpreter}, {"double": lambda value: value * 2, "fails": fails})
