"""Doubles: what a test sees of the app's functions, and what it lets them do instead."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from durable_core.core.entities import Entity, Operation, Outcome
from durable_core.model.dialect import Dialect
from durable_core.model.entities import entity_of
from durable_core.model.serialization import decode_or_text

Fake = Callable[[Any], Any]


class Double:
    """One function of the app. It does what it always does until one of the methods below says otherwise; each of them
    returns the double, and the last one counts.

    Attributes:
        inputs: of every call so far, in order.
    """

    def __init__(self, noun: str, name: str, crash: Callable[[], None]) -> None:
        self.name = name
        self.inputs: list[Any] = []
        self._noun = noun
        self._crash = crash
        self._crashes = 0
        self._fake: Fake | None = None

    @property
    def call_count(self) -> int:
        """How often it was called; an activity that ran again after a crash counts twice."""
        return len(self.inputs)

    def returns(self, value: Any) -> Double:
        """Every call returns ``value``."""
        return self.runs(lambda _: value)

    def raises(self, error: BaseException) -> Double:
        """Every call fails with ``error``."""

        def fail(_: Any) -> Any:
            raise error

        return self.runs(fail)

    def replies(self, *outcomes: Any) -> Double:
        """One call after the other gets one of ``outcomes``: an exception is raised, anything else returned. A call
        beyond the last fails."""
        left = list(outcomes)

        def reply(_: Any) -> Any:
            if not left:
                raise AssertionError(
                    f"{self._noun} '{self.name}' was called for the {self.call_count}th time, but the test has "
                    f"{len(outcomes)} replies"
                )
            outcome = left.pop(0)
            if isinstance(outcome, BaseException):
                raise outcome
            return outcome

        return self.runs(reply)

    def runs(self, function: Fake) -> Double:
        """Every call runs ``function``, a ``Mock`` too; of an activity it gets the input and may be ``async def``, of
        an orchestrator it gets the context and may be a generator."""
        self._fake = function
        return self

    def crashes_worker(self, times: int = 1) -> Double:
        """The next calls end with the death of the worker, before anything of theirs is recorded. A new worker starts
        at once, and takes up the work when the leases of the dead one have ended (15 s)."""
        self._crashes = times
        return self

    def restore(self) -> Double:
        """Calls run the app's own function again."""
        self._fake, self._crashes = None, 0
        return self

    def note(self, value: Any) -> None:
        """A call with this input begins."""
        self.inputs.append(value)
        if self._crashes > 0:
            self._crashes -= 1
            self._crash()

    def choose(self, user: Callable[..., Any]) -> Callable[..., Any]:
        """The fake, or ``user`` if there is none."""
        return self._fake or user

    async def answer(self, value: Any, otherwise: Fake) -> Any:
        """What the fake, or ``otherwise``, makes of ``value``."""
        result = self.choose(otherwise)(value)
        return await result if inspect.isawaitable(result) else result


def activity_in_place_of(user: Callable[..., Any], double: Double) -> Callable[..., Any]:
    """The activity that a worker runs instead of ``user``."""

    @functools.wraps(user)
    async def run(**given: Any) -> Any:
        value = next(iter(given.values()))
        double.note(value)
        return await double.answer(value, lambda _: _outside_loop(user, **given))

    return run


def _outside_loop(function: Callable[..., Any], **kwargs: Any) -> Any:
    """Call it as in the pool of a real worker: synchronous code may run event loops of its own."""
    if inspect.iscoroutinefunction(function):
        return function(**kwargs)
    loop = asyncio._get_running_loop()
    asyncio._set_running_loop(None)
    try:
        return function(**kwargs)
    finally:
        asyncio._set_running_loop(loop)


def orchestrator_in_place_of(user: Callable[..., Any], double: Double) -> Callable[..., Any]:
    """The orchestrator that a worker runs instead of ``user``."""

    @functools.wraps(user)
    def run(context: Any) -> Any:
        if not context.is_replaying:
            double.note(context.get_input())
        return double.choose(user)(context)

    return run


@dataclass(frozen=True, slots=True)
class EntityCall:
    """One operation that an entity was asked for."""

    key: str
    operation: str
    input: Any
    is_signal: bool


class EntityDouble:
    """The entities of one name.

    Attributes:
        calls: every operation so far, in order.
    """

    def __init__(self, name: str, dialect: Dialect) -> None:
        self.name = name
        self._dialect = dialect
        self.calls: list[EntityCall] = []
        self._fake: Entity | None = None

    def runs(self, entity: Any) -> EntityDouble:
        """Operations run ``entity`` instead: a function of the context, or a ``DurableEntity`` class."""
        self._fake = entity_of(self.name, entity, self._dialect)
        return self

    def restore(self) -> EntityDouble:
        """Operations run the app's own entity again."""
        self._fake = None
        return self

    def in_place_of(self, entity: Entity) -> Entity:
        """The entity that a worker runs instead of ``entity``."""

        def run(operation: Operation) -> Outcome:
            self.calls.append(
                EntityCall(operation.entity.key, operation.name, decode_or_text(operation.input), operation.is_signal)
            )
            return (self._fake or entity).run(operation)

        return replace(entity, run=run)
