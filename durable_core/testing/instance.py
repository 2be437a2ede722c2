"""A handle on one orchestration instance of a test environment."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar

from durable_core.core import ticks
from durable_core.core.history import HistoryEvent, OrchestrationStatus, SubOrchestrationInstanceCreated
from durable_core.errors import InstanceNotFoundError
from durable_core.model.serialization import decode_or_text, encode
from durable_core.model.status import OrchestrationRuntimeStatus
from durable_core.taskhub.instance_table import InstanceStatus
from durable_core.testing.engine import Engine, TimeLimitError
from durable_core.testing.waiting import waits_for

T = TypeVar("T")


class StuckError(AssertionError):
    """The instance waits for something that nobody but the test can make happen; the text says for what."""


class Instance:
    """One instance. Every property asks the task hub; every method first lets happen what can happen at once.

    Attributes:
        id: the instance id.
    """

    def __init__(self, engine: Engine, instance_id: str) -> None:
        self._engine = engine
        self.id = instance_id

    # ---- what it is ------------------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """Name of its orchestrator."""
        return self._row.name

    @property
    def status(self) -> OrchestrationRuntimeStatus:
        """Its status now."""
        return OrchestrationRuntimeStatus[self._row.runtime_status.name]

    @property
    def exists(self) -> bool:
        """False once it has been purged."""
        return self._engine.drive(self._engine.client.get_status(self.id)) is not None

    @property
    def input(self) -> Any:
        """What it was started with; of a later generation, what that began with."""
        return self._engine.encoding.shown_input(self._row.input)

    @property
    def output(self) -> Any:
        """What the orchestrator returned; of a terminated instance the reason.

        Raises:
            AssertionError: it has failed, or not ended; the text says why, or what it waits for.
        """
        row = self._row
        if row.runtime_status is OrchestrationStatus.Failed:
            raise AssertionError(f"{self._called(row)} has failed: {row.output}")
        if not row.runtime_status.is_finished:
            raise AssertionError(f"{self._called(row)} has not ended{self._waiting(row)}")
        return decode_or_text(row.output)

    @property
    def failure(self) -> str:
        """The output of a failed instance.

        Raises:
            AssertionError: it has not failed.
        """
        row = self._row
        if row.runtime_status is not OrchestrationStatus.Failed:
            raise AssertionError(
                f"{self._called(row)} has not failed: it is {row.runtime_status.name}{self._waiting(row)}"
            )
        return row.output or ""

    @property
    def custom_status(self) -> Any:
        """What the orchestrator set last."""
        return decode_or_text(self._row.custom_status)

    @property
    def created_time(self) -> datetime:
        """When it was started."""
        return ticks.to_datetime(self._row.created_time or 0)

    @property
    def last_updated_time(self) -> datetime:
        """When it last did something."""
        return ticks.to_datetime(self._row.last_updated_time or 0)

    @property
    def history(self) -> Sequence[HistoryEvent]:
        """The events of its current generation, as `durable_core.core.history` defines them."""
        return self._drive_get_history()

    @property
    def event_names(self) -> list[str]:
        """The kinds of these events, in order: ``["OrchestratorStarted", "ExecutionStarted", …]``."""
        return [type(event).__name__ for event in self._drive_get_history()]

    @property
    def children(self) -> list[Instance]:
        """The sub-orchestrations of the current generation, in the order of their calls."""
        return [
            Instance(self._engine, event.instance_id or "")
            for event in self._drive_get_history()
            if isinstance(event, SubOrchestrationInstanceCreated)
        ]

    @property
    def waits_for(self) -> list[str]:
        """What it waits for, in words; empty when it has ended."""
        row = self._row
        if row.runtime_status.is_finished:
            return []
        if row.runtime_status is OrchestrationStatus.Suspended:
            return ["being resumed"]
        history = self._drive_get_history()
        if not history:
            versioning, version = self._engine.options.worker.versioning, row.version
            if not versioning.accepts(version):
                return [f"a worker that takes its version: {versioning.mismatch(version)}"]
            due = row.scheduled_start_time
            return ["its start"] if due is None else [f"its start at {ticks.to_datetime(due):%Y-%m-%d %H:%M:%S}"]
        return waits_for(history, self._engine.functions.orchestrator(row.name))

    # ---- what a test does with it ----------------------------------------------------------------------------------

    def wait(self, limit: timedelta = timedelta(days=365)) -> Instance:
        """Let time jump from event to event until the instance has ended.

        Args:
            limit: of virtual time.

        Raises:
            StuckError: nothing can happen any more without the test; the text says what the instance waits for.
            TimeLimitError: it has not ended within ``limit``.
        """

        async def has_ended() -> bool:
            row = await self._engine.client.get_status(self.id)
            return row is None or row.runtime_status.is_finished

        try:
            ended = self._engine.drive(self._engine.until(has_ended, limit.total_seconds()))
        except TimeLimitError as error:
            row = self._row
            raise TimeLimitError(f"{self._called(row)} has not ended: {error}{self._waiting(row)}") from None
        if not ended:
            row = self._row
            raise StuckError(f"{self._called(row)} cannot go on by itself{self._waiting(row)}")
        return self

    def raise_event(self, name: str, data: Any = None) -> Instance:
        """Send an external event."""
        return self._do(self._engine.client.raise_event(self.id, name, encode(data, f"the data of event '{name}'")))

    def suspend(self, reason: str | None = None) -> Instance:
        """Pause it."""
        return self._do(self._engine.client.suspend(self.id, reason))

    def resume(self, reason: str | None = None) -> Instance:
        """Let it go on."""
        return self._do(self._engine.client.resume(self.id, reason))

    def terminate(self, reason: str | None = None, *, recursive: bool = False) -> Instance:
        """End it; with ``recursive`` its sub-orchestrations too."""
        return self._do(self._engine.client.terminate(self.id, reason, recursive=recursive))

    def rewind(self, reason: str | None = None) -> Instance:
        """Take its failure back, so that it goes on from there."""
        return self._do(self._engine.client.rewind(self.id, reason))

    def restart(self, *, new_id: bool = True) -> Instance:
        """Start the same function with the same input; returns the new instance."""
        started = self._drive(self._engine.client.restart(self.id, restart_with_new_instance_id=new_id))
        return Instance(self._engine, started)

    def purge(self) -> Instance:
        """Remove everything of it; it must have ended."""
        return self._do(self._engine.client.purge(self.id))

    # ----------------------------------------------------------------------------------------------------------------

    def _do(self, work: Any) -> Instance:
        self._drive(work)
        return self

    def _drive(self, work: Any) -> Any:
        async def act() -> Any:
            result = await self._engine.until_done(work)
            await self._engine.settle()
            return result

        return self._engine.drive(act())

    def _drive_get_history(self) -> Sequence[HistoryEvent]:
        return self._engine.drive(self._engine.client.get_history(self.id))

    @property
    def _row(self) -> InstanceStatus:
        row = self._engine.drive(self._engine.client.get_status(self.id))
        if row is None:
            raise InstanceNotFoundError(f"there is no instance '{self.id}' in the test's task hub")
        return row

    def _called(self, row: InstanceStatus) -> str:
        return f"instance '{self.id}' of '{row.name}'"

    def _waiting(self, row: InstanceStatus) -> str:
        waiting = self.waits_for
        state = "" if row.runtime_status.is_finished else f"; it is {row.runtime_status.name}"
        return f"{state} and waits for {', '.join(waiting)}" if waiting else state

    def __repr__(self) -> str:
        return f"Instance({self.id!r})"
