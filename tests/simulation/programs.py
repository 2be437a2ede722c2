"""Random orchestrations with a sequential model: what each must return, whatever happens to the workers.

A program is a list of steps, each ``[kind, argument]``; the model is computed from the steps alone, so that any of
them may be left out and the rest still has a meaning.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

from durable_core.core.replay import OrchestrationRun
from durable_core.core.retry import RetryPolicy
from durable_core.core.tasks import WhenAllTask, WhenAnyTask
from durable_core.core.ticks import PER_SECOND
from durable_core.worker.functions import Functions
from tests.worker.world import Steps, call, decode, functions

Program = list[list[Any]]
"""Steps, as JSON has them."""

FLOOD = 130
"""Events of one name: more than a generation takes along in the transaction that begins it."""

_SIMPLE = ["activity", "activity", "fan", "timer", "fails", "race", "retry", "large"]


def random_program(random: Random, name: str, *, depth: int = 0) -> Program:
    """A program; only one that no other program calls waits for events, and children call children twice at most."""
    kinds = [
        *_SIMPLE,
        "continue",
        *(["event", "event", "event", "flood"] if depth == 0 else []),
        *(["child", "children", "detached"] if depth < 2 else []),
    ]
    steps: Program = []
    for number in range(random.randint(1, 5 if depth == 0 else 2)):
        kind = random.choice(kinds)
        if kind == "flood":
            kinds = [other for other in kinds if other != "flood"]
        argument: Any = number
        if kind == "fan":
            argument = random.choice([2, 3, 5, 9, 20, 110 if depth == 0 else 3])
        elif kind == "timer":
            argument = random.choice([0, 1, 7, 30])
        elif kind == "event":
            argument = [f"event{number}", random.randint(0, 99)]
        elif kind == "large":
            argument = random.choice([20_000, 32_000, 50_000])
        elif kind in ("child", "detached"):
            argument = [1, random_program(random, f"{name}.{number}", depth=depth + 1), f"{name}.{number}"]
        elif kind == "children":
            width = random.choice([2, 4])
            argument = [width, random_program(random, f"{name}.{number}", depth=depth + 1), f"{name}.{number}"]
        steps.append([kind, argument])
    if depth == 0 and random.random() < 0.06:
        steps.insert(0, ["continue", None])
        steps.insert(1, ["fan", 110])
    return steps


def add_flaky(random: Random, program: Program, name: str) -> None:
    """Let a step of the program, or of a child of it, fail until ``name`` is repaired."""
    children = [step for step in program if step[0] in ("child", "children")]
    if children and random.random() < 0.6:
        step = random.choice(children)
        add_flaky(random, step[1][1], f"{name}.c")
    else:
        kind = random.choice(["flaky", "flaky", "flaky retry"])
        program.insert(random.randint(0, len(program)), [kind, name])


def add_hang(random: Random, program: Program, name: str) -> None:
    """Let the program wait for ever at its end, for an event or for a child that does."""
    if random.random() < 0.4:
        child: Program = [["activity", 1]] if random.random() < 0.5 else []
        add_hang(random, child, f"{name}.h")
        program.append([random.choice(["child", "children"]), [random.choice([1, 3]), child, f"{name}.h"]])
    else:
        program.append(["hang", None])


# ---- the model -------------------------------------------------------------------------------------------------------


def output(program: Program) -> list[Any]:
    """What a program returns when it is left to itself."""
    return [_output(kind, argument) for kind, argument in program]


def _output(kind: str, argument: Any) -> Any:
    if kind in ("child", "children"):
        width, child, _ = argument
        return [output(child)] * width
    return _OUTPUTS[kind](argument)


_OUTPUTS: dict[str, Callable[[Any], Any]] = {
    "activity": lambda argument: argument * 2,
    "fan": lambda argument: [item * 2 for item in range(argument)],
    "timer": lambda argument: "woke",
    "event": lambda argument: argument[1],
    "flood": lambda argument: FLOOD,
    "fails": lambda argument: f"caught fails failed: no {argument}",
    "retry": lambda argument: f"gave up fails failed: no {argument}",
    "race": lambda argument: "activity",
    "continue": lambda argument: "again",
    "large": lambda argument: "x" * argument,
    "detached": lambda argument: "sent",
    "flaky": lambda argument: argument,
    "flaky retry": lambda argument: argument,
    "hang": lambda argument: None,
}


def events(program: Program) -> list[tuple[str, Any]]:
    """External events that it needs; events of children there are none."""
    needed = [(argument[0], argument[1]) for kind, argument in program if kind == "event"]
    return needed + [("flood", number) for kind, _ in program if kind == "flood" for number in range(FLOOD)]


def flaky_steps(program: Program) -> Iterator[str]:
    """What has to be repaired before the program can succeed."""
    for kind, argument in program:
        if kind.startswith("flaky"):
            yield argument
        elif kind in ("child", "children", "detached"):
            yield from flaky_steps(argument[1])


def hangs(program: Program) -> bool:
    """It never ends by itself."""
    return any(kind == "hang" or (kind in ("child", "children") and hangs(arg[1])) for kind, arg in program)


def children(program: Program) -> Iterator[str]:
    """Names of the orchestrations that it starts, and of theirs; one for each time."""
    for kind, argument in program:
        if kind in ("child", "children", "detached"):
            width, child, name = argument
            for _ in range(width):
                yield name
                yield from children(child)


# ---- the orchestrator ------------------------------------------------------------------------------------------------


class Workshop:
    """What activities need to know of the world: what is still broken."""

    def __init__(self) -> None:
        self.broken: set[str] = set()

    def flaky(self, name: str) -> str:
        if name in self.broken:
            raise ValueError(f"{name} is broken")
        return name


def input_of(program: Program, name: str) -> str:
    """The input that runs a program."""
    return json.dumps({"name": name, "steps": program, "output": []})


def interpreter(run: OrchestrationRun) -> Steps:
    """Runs the steps of its input and returns what they gave; a generation hands the rest on to the next."""
    given = decode(run.input)
    steps, done = given["steps"], given["output"]
    for position, (kind, argument) in enumerate(steps):
        if kind == "continue":
            done.append("again")
            run.custom_status = json.dumps({"done": len(done)})
            run.continue_as_new(json.dumps({"name": given["name"], "steps": steps[position + 1 :], "output": done}))
            return None
        if kind == "hang":
            run.custom_status = '"hanging"'
        done.append((yield from _step(run, kind, argument)))
        run.custom_status = json.dumps({"done": len(done)})
    return done


def _step(run: OrchestrationRun, kind: str, argument: Any) -> Steps:
    if kind == "activity":
        return (yield call(run, "double", argument))
    if kind == "large":
        return (yield call(run, "blow", argument))
    if kind == "fan":
        return (yield WhenAllTask([call(run, "double", item) for item in range(argument)]))
    if kind == "timer":
        yield run.create_timer(run.current_time + argument * PER_SECOND)
        return "woke"
    if kind == "event":
        return (yield run.wait_for_event(argument[0], decode))
    if kind == "flood":
        return (yield from _flood(run))
    if kind == "hang":
        return (yield run.wait_for_event("never", decode))
    if kind in ("child", "children"):
        width, steps, name = argument
        child = input_of(steps, name)
        return (yield WhenAllTask([run.call_sub_orchestration("interpreter", child, decode) for _ in range(width)]))
    if kind == "detached":
        run.start_orchestration("interpreter", input_of(argument[1], argument[2]))
        return "sent"
    if kind == "flaky":
        return (yield call(run, "flaky", argument))
    if kind == "flaky retry":
        return (yield run.call_with_retry(_POLICY, lambda: call(run, "flaky", argument)))
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
    timer = run.create_timer(run.current_time + 200 * PER_SECOND)
    activity = call(run, "double", argument)
    winner = yield WhenAnyTask([timer, activity])
    timer.cancel()
    return "activity" if winner is activity else "timer"


def _flood(run: OrchestrationRun) -> Steps:
    """Take as many different events as were sent: one may come again after a continue-as-new."""
    seen: set[int] = set()
    while len(seen) < FLOOD:
        seen.add((yield run.wait_for_event("flood", decode)))
    return len(seen)


_POLICY = RetryPolicy(5 * PER_SECOND, 3, coefficient=2.0)


def fails(value: Any) -> Any:
    raise ValueError(f"no {value}")


def program_functions(workshop: Workshop) -> Functions:
    """The functions that programs are made of."""
    return functions(
        {"interpreter": interpreter},
        {
            "double": lambda value: value * 2,
            "fails": fails,
            "blow": lambda value: "x" * value,
            "flaky": workshop.flaky,
        },
    )
