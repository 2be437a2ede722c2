"""What the worker knows of user code: named functions behind a small seam.

The programming model (``durable_core.model``) builds these; the worker never sees decorators, contexts or bindings.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from durable_core.core.entities import Entity
from durable_core.core.replay import Orchestrator

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ActivityCall:
    """One execution of an activity, as its function may want to know it."""

    name: str
    instance_id: str
    execution_id: str
    task_id: int


class ActivityBody(Protocol):
    """Decodes the input text, runs the user's function and encodes its result.

    A synchronous body returns the result text (None for no result); an asynchronous one returns an awaitable of it.
    Any exception fails the activity.
    """

    def __call__(self, call: ActivityCall, input: str | None) -> str | Awaitable[str | None] | None: ...


@dataclass(frozen=True, slots=True)
class Activity:
    name: str
    body: ActivityBody
    is_async: bool
    describe_failure: Callable[[BaseException], tuple[str, str | None]]
    """Turns an exception into the ``Reason`` and ``Details`` of TaskFailed."""


@dataclass(frozen=True, slots=True)
class Functions:
    """Everything that one app registered; names match exactly, or ignoring case when that is unambiguous."""

    orchestrators: Mapping[str, Orchestrator] = field(default_factory=dict)
    activities: Mapping[str, Activity] = field(default_factory=dict)
    entities: Mapping[str, Entity] = field(default_factory=dict)

    def orchestrator(self, name: str) -> Orchestrator | None:
        return _find(self.orchestrators, name)

    def activity(self, name: str) -> Activity | None:
        return _find(self.activities, name)

    def entity(self, name: str) -> Entity | None:
        return _find(self.entities, name)


def unknown_function(kind: str, name: str, known: Iterable[str]) -> str:
    """The text of a call of a function that does not exist; ``kind`` is ``activity``, ``orchestrator`` or ``entity``.

    The sentences are those of the extension (golden python-stack, ``no-such-orchestrator``).
    """
    names = ", ".join(f"'{known_name}'" for known_name in sorted(known) if "::" not in known_name)
    listed = (
        f"The following are the known {kind} functions: {names}."
        if names
        else f"No {kind} functions are currently registered!"
    )
    article = "an" if kind[0] in "aeiou" else "a"
    return (
        f"{kind.capitalize()} function '{name}' failed: The function '{name}' doesn't exist, is disabled, or is not "
        f"{article} {kind} function. Additional info: {listed}"
    )


def _find(functions: Mapping[str, T], name: str) -> T | None:
    exact = functions.get(name)
    if exact is not None:
        return exact
    folded = name.casefold()
    alike = [function for known, function in functions.items() if known.casefold() == folded]
    return alike[0] if len(alike) == 1 else None
