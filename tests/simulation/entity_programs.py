"""Random orchestrations over a few accounts, with what must be true of the accounts whatever happens to the workers."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from durable_core.core.entities import Entity, EntitySignal, Operation, Outcome
from durable_core.core.entity_ids import EntityId
from durable_core.core.replay import OrchestrationRun
from durable_core.core.ticks import PER_SECOND
from tests.worker.world import Steps, call, decode, functions

ACCOUNTS = ("a", "b", "c")


@dataclass(frozen=True)
class EntityProgram:
    """The input of one orchestration and its effects.

    Attributes:
        adds: what each operation, named by its token, adds to an account; every one takes effect once.
        ordered: tokens of operations on one account in the order in which they were asked for.
        status: how the orchestration ends.
        is_terminated: a client ends it while it holds locks.
    """

    steps: list[list[Any]]
    adds: dict[str, tuple[str, int]] = field(default_factory=dict)
    ordered: dict[str, list[str]] = field(default_factory=dict)
    status: str = "Completed"

    @property
    def is_terminated(self) -> bool:
        return self.status == "Terminated"

    def add(self, token: str, account: str, amount: int, *, in_order: bool = True) -> None:
        self.adds[token] = (account, amount)
        if in_order:
            self.ordered.setdefault(account, []).append(token)


def random_program(random: Random, name: str) -> EntityProgram:
    program = EntityProgram([])
    for number in range(random.randint(1, 5)):
        token = f"{name}/{number:02d}"
        kind = random.choice(["call", "signals", "move", "move", "move", "fails", "later", "again", "chain"])
        account = random.choice(ACCOUNTS)
        amount = random.randint(1, 9)
        if kind == "call":
            program.add(token, account, amount)
            program.steps.append([kind, token, account, amount])
        elif kind == "signals":
            count = random.randint(1, 4)
            for part in range(count):
                program.add(f"{token}.{part}", account, amount)
            program.steps.append([kind, token, account, amount, count])
        elif kind == "move":
            source, target = random.sample(ACCOUNTS, 2)
            program.add(f"{token}.0out", source, -amount)
            program.add(f"{token}.1in", target, amount)
            program.steps.append([kind, token, source, target, amount])
        elif kind == "later":
            program.add(token, account, amount, in_order=False)
            program.steps.append([kind, token, account, amount, random.choice([0, 1, 45])])
        elif kind == "chain":
            other = random.choice(ACCOUNTS)
            program.add(token, account, 0)
            program.add(f"{token}.next", other, amount, in_order=False)
            program.steps.append([kind, token, account, other, amount])
        else:
            program.steps.append([kind, token, account])
    # A delayed signal of its own would run inside the sender's critical section, so those come last.
    program.steps.sort(key=lambda step: step[0] == "later")
    status = random.choice(["Completed", "Completed", "Failed", "Terminated"])
    program.steps.append(["end", status, *random.sample(ACCOUNTS, 2)])
    return replace(program, status=status)


def account(key: str) -> EntityId:
    return EntityId("account", key)


def run_account(operation: Operation) -> Outcome:
    """An account that notes the token of everything that changed it."""
    state = json.loads(operation.state or '{"balance":0,"tokens":[]}')
    token, amount, *more = json.loads(operation.input or '["",0]')
    if operation.name == "get":
        return Outcome(operation.state, json.dumps(state["balance"]))
    state["balance"] += amount
    state["tokens"].append(token)
    if operation.name == "fail":
        return Outcome(json.dumps(state), error=f"no {token}", sent=[EntitySignal(account("a"), "add", '["wrong",99]')])
    sent = [EntitySignal(account(more[0]), "add", json.dumps([f"{token}.next", more[1]]))] if more else []
    return Outcome(json.dumps(state), json.dumps(state["balance"]), sent=sent)


def ask(run: OrchestrationRun, key: str, operation: str, *arguments: Any) -> Any:
    return run.entities.call(account(key), operation, json.dumps(arguments) if arguments else None, decode)


def move(run: OrchestrationRun, token: str, source: str, target: str, amount: int) -> Steps:
    """A transfer that looks whether anybody else came in between."""
    with (yield run.entities.lock([account(target), account(source)])):
        before = yield ask(run, source, "get")
        there = yield ask(run, target, "get")
        left = yield ask(run, source, "add", f"{token}.0out", -amount)
        yield call(run, "think", 1)
        now = yield ask(run, target, "add", f"{token}.1in", amount)
        again = yield ask(run, source, "get")
    assert (left, now, again) == (before - amount, there + amount, left), f"{token} was not alone"


def accountant(run: OrchestrationRun) -> Steps:
    """Runs the steps of its input, and ends as the last one says."""
    todo = decode(run.input)
    while todo:
        kind, token, *arguments = todo.pop(0)
        if kind == "call":
            yield ask(run, arguments[0], "add", token, arguments[1])
        elif kind == "signals":
            key, amount, count = arguments
            for part in range(count):
                run.entities.signal(account(key), "add", json.dumps([f"{token}.{part}", amount]))
        elif kind == "move":
            yield from move(run, token, *arguments)
        elif kind == "fails":
            try:
                yield ask(run, arguments[0], "fail", token, 1000)
            except Exception as error:
                assert str(error) == f"no {token}", error
        elif kind == "later":
            key, amount, seconds = arguments
            due = run.current_time + seconds * PER_SECOND
            run.entities.signal(account(key), "add", json.dumps([token, amount]), due)
        elif kind == "chain":
            key, other, amount = arguments
            yield ask(run, key, "add", token, 0, other, amount)
        elif kind == "again":
            with (yield run.entities.lock([account(arguments[0])])):
                run.continue_as_new(json.dumps(todo))
            return None
        else:
            yield from _end(run, token, arguments)
    return "done"


def _end(run: OrchestrationRun, status: str, keys: list[str]) -> Steps:
    if status == "Completed":
        return
    yield run.entities.lock([account(key) for key in keys])
    if status == "Failed":
        raise ValueError("as planned")
    run.custom_status = '"holding"'
    yield run.wait_for_event("never", decode)


ENTITY_FUNCTIONS = replace(
    functions({"accountant": accountant}, {"think": lambda value: value}),
    entities={"account": Entity("account", run_account)},
)
