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
from durable_core.worker.functions import Functions
from tests.worker.world import Steps, call, decode, functions

ACCOUNTS = ("a", "b", "c")


Program = list[list[Any]]


@dataclass
class Effects:
    """What a program does to the accounts.

    Attributes:
        adds: what each operation, named by its token, adds to an account; every one takes effect once.
        ordered: tokens of operations on one account in the order in which they were asked for.
    """

    adds: dict[str, tuple[str, int]] = field(default_factory=dict)
    ordered: dict[str, list[str]] = field(default_factory=dict)

    def add(self, token: str, account: str, amount: int, *, in_order: bool = True) -> None:
        self.adds[token] = (account, amount)
        if in_order:
            self.ordered.setdefault(account, []).append(token)


def random_program(random: Random, name: str) -> Program:
    """Steps, each ``[kind, token, ...]``; the last one says how the program ends."""
    program: Program = []
    for number in range(random.randint(1, 5)):
        token = f"{name}/{number:02d}"
        kind = random.choice(["call", "signals", "move", "move", "move", "fails", "later", "again", "chain"])
        account = random.choice(ACCOUNTS)
        amount = random.randint(1, 9)
        if kind == "call":
            program.append([kind, token, account, amount])
        elif kind == "signals":
            program.append([kind, token, account, amount, random.randint(1, 4)])
        elif kind == "move":
            program.append([kind, token, *random.sample(ACCOUNTS, 2), amount])
        elif kind == "later":
            program.append([kind, token, account, amount, random.choice([0, 1, 45])])
        elif kind == "chain":
            program.append([kind, token, account, random.choice(ACCOUNTS), amount])
        else:
            program.append([kind, token, account])
    # A delayed signal of its own would run inside the sender's critical section, so those come last.
    program.sort(key=lambda step: step[0] == "later")
    status = random.choice(["Completed", "Completed", "Failed", "Terminated"])
    return [*program, ["end", status, *random.sample(ACCOUNTS, 2)]]


def status(program: Program) -> str:
    """How it ends; a program without its last step just ends."""
    return next((str(step[1]) for step in program if step[0] == "end"), "Completed")


def effects(program: Program) -> Effects:
    """The sequential model of a program."""
    result = Effects()
    for kind, token, *arguments in program:
        if kind == "call":
            result.add(token, arguments[0], arguments[1])
        elif kind == "signals":
            account, amount, count = arguments
            for part in range(count):
                result.add(f"{token}.{part}", account, amount)
        elif kind == "move":
            source, target, amount = arguments
            result.add(f"{token}.0out", source, -amount)
            result.add(f"{token}.1in", target, amount)
        elif kind == "later":
            result.add(token, arguments[0], arguments[1], in_order=False)
        elif kind == "chain":
            account, other, amount = arguments
            result.add(token, account, 0)
            result.add(f"{token}.next", other, amount, in_order=False)
    return result


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
    given = decode(run.input)
    todo = given["steps"]
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
                run.continue_as_new(json.dumps({**given, "steps": todo}))
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


def with_accounts(base: Functions) -> Functions:
    """``base``, and what the programs over accounts need."""
    own = functions({"accountant": accountant}, {"think": lambda value: value})
    return replace(
        base,
        orchestrators={**base.orchestrators, **own.orchestrators},
        activities={**base.activities, **own.activities},
        entities={"account": Entity("account", run_account)},
    )
