"""One instance inside this worker: its inbox, its cached execution, and the way of a batch to its checkpoint."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from durable_core.core import ticks
from durable_core.core.episode import Episode, Verdict, judge, order_received, reject, run_episode
from durable_core.core.history import (
    ExecutionStarted,
    ExecutionTerminated,
    GenericEvent,
    HistoryEvent,
    OrchestrationStatus,
    TaskScheduled,
)
from durable_core.core.messages import Sender
from durable_core.core.replay import OrchestrationRun, Orchestrator
from durable_core.core.state import RuntimeState, identity, settled_id
from durable_core.errors import StorageError
from durable_core.taskhub.history_store import LostRaceError
from durable_core.worker.checkpoint import Written
from durable_core.worker.delivery import Delivery
from durable_core.worker.functions import unknown_function
from durable_core.worker.start_rules import judge_start

if TYPE_CHECKING:
    from durable_core.worker.sessions import Sessions

logger = logging.getLogger("durable_core.worker")


@dataclass(slots=True)
class _Sorted:
    """A batch after judgement."""

    accepted: list[Delivery] = field(default_factory=list)
    dropped: list[Delivery] = field(default_factory=list)
    deferred: list[Delivery] = field(default_factory=list)

    def put(self, delivery: Delivery, verdict: Verdict) -> None:
        {Verdict.ACCEPT: self.accepted, Verdict.DROP: self.dropped, Verdict.DEFER: self.deferred}[verdict].append(
            delivery
        )


class Session:
    """Messages of one instance are processed here in batches, one batch at a time.

    Between batches the execution stays cached (``state``, ``run`` and the sentinel's ``etag``); ``forget`` lets it go,
    and the next batch loads the history again.
    """

    def __init__(self, manager: Sessions, instance_id: str, partition: int) -> None:
        self._manager = manager
        self.instance_id = instance_id
        self.partition = partition
        self.inbox: list[Delivery] = []
        self.task: asyncio.Task[None] | None = None
        self.foreign: set[int] = set()
        """Open activities whose work items were left visible: any worker may complete them."""
        self.last_used = 0.0
        self._state: RuntimeState | None = None
        self._run: OrchestrationRun | None = None
        self._etag: str | None = None
        self._leftovers: Sequence[str] = ()

    @property
    def is_cached(self) -> bool:
        return self._state is not None

    def forget(self) -> None:
        """Let the cached execution go."""
        if self._run is not None:
            self._run.close()
        self._state = None
        self._run = None
        self._etag = None
        self._leftovers = ()
        self.foreign.clear()

    async def process(self, batch: list[Delivery]) -> None:
        """Take one batch as far as it goes. Whatever happens, no message of it is lost."""
        try:
            sorted_batch = await self._sort(batch)
            if sorted_batch.accepted:
                await self._episode(sorted_batch)
            else:
                await self._settle_without_episode(sorted_batch)
            await self._manager.put_off(sorted_batch.deferred)
        except LostRaceError as error:
            logger.warning(
                "Instance '%s': another worker was faster, its checkpoint stands: %s", self.instance_id, error
            )
            self.forget()
            await self._manager.put_off(batch)
        except StorageError as error:
            logger.warning("Instance '%s': an episode is put off, storage failed: %s", self.instance_id, error)
            self.forget()
            await self._manager.put_off(batch)
        except Exception:  # a defect must not cost a message: the batch comes back, the log has the trace
            logger.exception("Instance '%s': an episode failed unexpectedly and is put off.", self.instance_id)
            self.forget()
            await self._manager.put_off(batch)

    # ---- what belongs into the episode -----------------------------------------------------------------------------

    async def _sort(self, batch: list[Delivery]) -> _Sorted:
        result = _Sorted()
        starts = [delivery for delivery in batch if isinstance(delivery.event, ExecutionStarted)]
        state = await self._current_state(batch, starts)
        starting: ExecutionStarted | None = None
        for delivery in starts:
            event = delivery.event
            assert isinstance(event, ExecutionStarted)
            if starting is not None or event.instance.execution_id == state.execution_id:
                result.put(delivery, Verdict.DROP)
                continue
            verdict = Verdict.ACCEPT
            if not delivery.is_new_instance and event.parent is None:
                row = await self._manager.hub.instances.get(self.instance_id, with_payloads=False)
                verdict = judge_start(event, delivery.held, row, lease=self._manager.settings.message_lease)
            result.put(delivery, verdict)
            if verdict is Verdict.ACCEPT:
                starting = event
                if state.started is not None:
                    state = self._begin_generation()
        seen = set()
        for delivery in batch:
            if isinstance(delivery.event, ExecutionStarted):
                continue
            verdict = judge(state, delivery.message, delivery.dequeue_count, starting=starting)
            key = identity(delivery.event)
            if verdict is Verdict.ACCEPT and key is not None:
                if key in seen:
                    verdict = Verdict.DROP
                seen.add(key)
            result.put(delivery, verdict)
        return result

    async def _current_state(self, batch: list[Delivery], starts: list[Delivery]) -> RuntimeState:
        if self._state is not None:
            known = self._state.execution_id
            newer = any(start.message.target.execution_id != known for start in starts)
            if not newer and not any(isinstance(delivery.event, GenericEvent) for delivery in batch):
                return self._state
            self.forget()
        if any(start.is_new_instance for start in starts):
            self._state = RuntimeState()
            return self._state
        loaded = await self._manager.hub.history.load(self.instance_id)
        self._etag = loaded.etag
        self._leftovers = loaded.partial_rows
        self._state = RuntimeState(loaded.events)
        self.foreign = self._state.open_activities()
        return self._state

    def _begin_generation(self) -> RuntimeState:
        """A start replaces the generation that is in the history; its rows are overwritten from the first on."""
        if self._run is not None:
            self._run.close()
            self._run = None
        self.foreign.clear()
        self._state = RuntimeState()
        return self._state

    # ---- batches without an episode --------------------------------------------------------------------------------

    async def _settle_without_episode(self, batch: _Sorted) -> None:
        state = self._state
        assert state is not None
        if state.started is None:
            await self._settle_without_history(batch)
            self.forget()
        elif batch.dropped:
            await self._repair_row(state, batch.dropped)
        if state.is_finished:
            self.forget()

    async def _settle_without_history(self, batch: _Sorted) -> None:
        """Messages to an instance that never ran: wait for a pending start, end it, or drop them (task-hub 6.5)."""
        others = [item for item in batch.dropped if not isinstance(item.event, ExecutionStarted)]
        if others:
            row = await self._manager.hub.instances.get(self.instance_id, with_payloads=False)
            if row is not None and row.runtime_status is OrchestrationStatus.Pending:
                ends = next((item for item in others if isinstance(item.event, ExecutionTerminated)), None)
                if ends is None:
                    batch.deferred.extend(others)
                    batch.dropped = [item for item in batch.dropped if item not in others]
                else:
                    assert isinstance(ends.event, ExecutionTerminated)
                    await self._manager.hub.instances.terminate(self.instance_id, ends.event)
            else:
                logger.info(
                    "Instance '%s' does not exist: %d message(s) for it are dropped.", self.instance_id, len(others)
                )
        await self._manager.delete(batch.dropped)

    async def _repair_row(self, state: RuntimeState, dropped: list[Delivery]) -> None:
        """The history holds these messages already; a crash may have come between it and the Instances row."""
        hub = self._manager.hub
        row = await hub.instances.get(self.instance_id, with_payloads=False)
        last = ticks.format_column(state.events[-1].timestamp)
        if row is not None and row.execution_id != state.execution_id:
            await self._manager.delete(dropped)
            return
        if row is not None and row.runtime_status is state.status and row.last_updated_time == ticks.parse(last):
            await self._manager.delete(dropped)
            return
        status = await self._custom_status(state)
        entity = hub.instances.checkpoint(self.instance_id, state.execution_id, state.events, status, {})
        self._manager.merges.submit(self.instance_id, entity, [item.held for item in dropped])

    async def _custom_status(self, state: RuntimeState) -> str | None:
        """The custom status is kept nowhere but in the row: run the code once more to know it."""
        assert state.started is not None
        orchestrator = self._manager.functions.orchestrator(state.started.name)
        if orchestrator is None:
            return None
        if self._run is None:
            run = OrchestrationRun(orchestrator, state.events)
            await self._manager.user_code.call(lambda: run.feed(state.events, replaying=True))
            run.take_decisions()
            self._run = run
        return self._run.custom_status

    # ---- the episode -----------------------------------------------------------------------------------------------

    async def _episode(self, batch: _Sorted) -> None:
        manager = self._manager
        state = self._state
        assert state is not None
        received = order_received([delivery.event for delivery in batch.accepted])
        started = state.started or next(event for event in received if isinstance(event, ExecutionStarted))
        orchestrator = manager.functions.orchestrator(started.name)
        before = len(state.events)
        episode: Episode
        if orchestrator is not None:
            run = self._run
            self._run = None
            episode, self._run = await manager.user_code.call(
                _run, state, run, orchestrator, received, manager.hub.now(), manager.settings.store_inputs
            )
        elif await manager.leave_to_others(batch.accepted):
            batch.deferred.extend(batch.accepted)
            return
        else:
            episode = self._unknown_orchestrator(state, started, received)
        await self._commit(batch, episode, state, before)

    def _unknown_orchestrator(
        self, state: RuntimeState, started: ExecutionStarted, received: Sequence[HistoryEvent]
    ) -> Episode:
        text = unknown_function("orchestrator", started.name, self._manager.functions.orchestrators)
        logger.error("Instance '%s': %s", self.instance_id, text)
        before = len(state.events)
        state.extend(reject(state, received, text, now=self._manager.hub.now()))
        return Episode(state.events[before:], (), state.episodes, None)

    async def _commit(self, batch: _Sorted, episode: Episode, state: RuntimeState, before: int) -> None:
        manager = self._manager
        execution_id = state.execution_id
        written = await manager.outgoing.send(
            episode.outgoing, sender=Sender(self.instance_id, execution_id), episode=episode.number
        )
        try:
            appended = await manager.hub.history.append(
                self.instance_id,
                execution_id or "",
                before,
                episode.events,
                etag=self._etag,
                leftovers=self._leftovers,
                replaces=any(delivery.is_new_instance for delivery in batch.accepted),
            )
        except LostRaceError as error:
            if error.committed:
                manager.abandon_reserved(written)
            else:
                await manager.outgoing.take_back(written)
            raise
        except BaseException:
            # Whether history was written is not known, so the messages must stay; they appear when their lease ends.
            manager.abandon_reserved(written)
            raise
        self._etag = appended.etag
        self._leftovers = ()
        for delivery in batch.accepted:
            settled = settled_id(delivery.event)
            if settled is not None:
                self.foreign.discard(settled)
        self._hand_over(written)
        entity = manager.hub.instances.checkpoint(
            self.instance_id, execution_id, episode.events, episode.custom_status, appended.urls
        )
        finished = state.completed
        after: Callable[[], None] | None = None
        if finished is not None:
            after = lambda: manager.finished(self.instance_id, finished)  # noqa: E731
        covered = [delivery.held for delivery in (*batch.accepted, *batch.dropped)]
        manager.merges.submit(self.instance_id, entity, covered, after)
        if finished is not None or manager.settings.force_replay:
            self.forget()

    def _hand_over(self, written: Sequence[Written]) -> None:
        """History is committed: what this process wrote for itself may start now."""
        manager = self._manager
        surplus = False
        for item in written:
            event = item.outgoing.message.event
            if not item.is_ours:
                if isinstance(event, TaskScheduled):
                    self.foreign.add(event.event_id)
                    surplus = True
                continue
            held = manager.leases.hold(item.held(), renew_in=manager.outgoing.renew_in(item))
            if isinstance(event, TaskScheduled):
                manager.activities.run_reserved(held)
            else:
                manager.deliver_at(Delivery(item.outgoing.message, held), item.due)
        if surplus:
            manager.activities.note_surplus()


def _run(
    state: RuntimeState,
    run: OrchestrationRun | None,
    orchestrator: Orchestrator,
    received: Sequence[HistoryEvent],
    now: int,
    store_inputs: bool,
) -> tuple[Episode, OrchestrationRun]:
    return run_episode(state, run, orchestrator, received, now=now, store_inputs=store_inputs)
