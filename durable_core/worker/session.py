"""One instance inside this worker: its inbox, its cached execution, and the way of a batch to its checkpoint."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from durable_core.core.entity_ids import is_entity
from durable_core.core.entity_messages import RequestMessage, request_to
from durable_core.core.episode import (
    Episode,
    Outgoing,
    Verdict,
    answers_of_replaced,
    begin_run,
    judge,
    order_received,
    reject,
    run_episode,
)
from durable_core.core.history import (
    EventRaised,
    ExecutionStarted,
    FailureDetails,
    HistoryEvent,
    OrchestrationInstance,
    OrchestrationStatus,
    TaskScheduled,
)
from durable_core.core.messages import Sender
from durable_core.core.replay import OrchestrationRun
from durable_core.core.state import RuntimeState, answered_parent, settled_id
from durable_core.core.versioning import VersionFailure
from durable_core.errors import AlreadyExistsError, NotFoundError, PreconditionFailedError, StorageError
from durable_core.storage.base import ANY, Entity
from durable_core.taskhub.history_store import LoadedHistory, LostRaceError
from durable_core.taskhub.instance_table import InstanceStatus, Urls
from durable_core.worker.checkpoint import Written
from durable_core.worker.delivery import Delivery, begin_instance, identity_in_batch, termination, wake
from durable_core.worker.first_starts import first_row
from durable_core.worker.functions import unknown_function
from durable_core.worker.row_merges import RowVersion
from durable_core.worker.row_rules import is_meant_for, is_of_later_run, is_of_older_run, is_up_to_date
from durable_core.worker.start_rules import is_repeated_start, judge_start, make_sure_to_be_first
from durable_core.worker.user_code import EndlessCodeError

if TYPE_CHECKING:
    from durable_core.worker.sessions import Sessions

logger = logging.getLogger("durable_core.worker")


@dataclass(slots=True)
class Batch:
    """A batch after judgement."""

    accepted: list[Delivery] = field(default_factory=list)
    dropped: list[Delivery] = field(default_factory=list)
    deferred: list[Delivery] = field(default_factory=list)

    def put(self, delivery: Delivery, verdict: Verdict) -> None:
        if verdict is Verdict.ACCEPT:
            self.accepted.append(delivery)
        elif verdict is Verdict.DROP:
            self.dropped.append(delivery)
        else:
            self.deferred.append(delivery)


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
        self.taken: list[Delivery] = []
        """The batch under way."""
        self.is_active = False
        """It has deliveries to process, or processes some."""
        self.rest: asyncio.Future[None] | None = None
        """Somebody waits until it is no longer active."""
        self.foreign: set[int] = set()
        """Open activities whose work items were left visible: any worker may complete them."""
        self.foreign_requests: set[str] = set()
        """Ids of open requests to entities of other workers."""
        self.last_used = 0.0
        self._state: RuntimeState | None = None
        self._run: OrchestrationRun | None = None
        self._etag: str | None = None
        self._row_version: RowVersion | None = None
        self._leftovers: Sequence[str] = ()
        self._blobs: dict[tuple[int, str], str] = {}
        """Blobs that hold overflowed columns of this generation."""
        self._replaced: list[str] = []
        """Blobs of the generation that the episode to come replaces."""
        self._is_cut_off = False
        self._to_parents: list[Outgoing] = []
        """Answers to parents whose children the episode to come replaces."""

    @property
    def is_cached(self) -> bool:
        return self._state is not None

    @property
    def waits_for_others(self) -> bool:
        """Something is open that any worker may complete."""
        return bool(self.foreign or self.foreign_requests)

    def forget(self) -> None:
        """Let the cached execution go."""
        if self._run is not None:
            self._run.close()
        self._state = None
        self._run = None
        self._etag = None
        self._row_version = None
        self._leftovers = ()
        self._blobs = {}
        self._replaced = []
        self._is_cut_off = False
        self.foreign.clear()
        self.foreign_requests.clear()
        self._to_parents = []

    async def process(self, batch: list[Delivery]) -> None:
        """Take one batch as far as it goes. Whatever happens, no message of it is lost."""
        try:
            sorted_batch = await self._sort(batch)
            if sorted_batch.accepted or self._must_begin():
                await self._episode(sorted_batch)
            else:
                await self._settle_without_episode(sorted_batch)
            if sorted_batch.deferred:
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
            await self._manager.failed(batch, error)
        except EndlessCodeError as error:
            logger.warning("Instance '%s': an episode is stopped and put off: %s", self.instance_id, error)
            self.forget()
            self._manager.note_endless(self.instance_id)
            await self._manager.put_off(batch)
        except Exception as error:  # a defect must not cost a message: the batch comes back, the log has the trace
            logger.exception("Instance '%s': an episode failed unexpectedly and is put off.", self.instance_id)
            self.forget()
            await self._manager.failed(batch, error)

    def _must_begin(self) -> bool:
        """The checkpoint that began this generation was cut off before its decisions: whatever message wakes the
        instance, the generation has to run (design rule 2)."""
        state = self._state
        return (
            self._is_cut_off
            and state is not None
            and state.started is not None
            and state.episodes == 1
            and not state.is_finished
        )

    # ---- what belongs into the episode -----------------------------------------------------------------------------

    async def _sort(self, batch: list[Delivery]) -> Batch:
        result = Batch()
        starts = [delivery for delivery in batch if isinstance(delivery.event, ExecutionStarted)]
        new_row = None if self._state is not None else await first_row(starts, self._manager.hub.instances)
        state = await self._current_state(batch, starts, is_first=new_row is not None)
        starting: ExecutionStarted | None = None
        for delivery in starts:
            event = delivery.event
            assert isinstance(event, ExecutionStarted)
            if await self._manager.is_ahead_of_time(delivery, event):
                continue
            if is_repeated_start(event, delivery.held, state) or (starting and starting.instance == event.instance):
                result.put(delivery, Verdict.DROP)
                continue
            if starting is not None:
                result.put(delivery, Verdict.DEFER)  # a later start of the same id: first this one gets its episode
                continue
            verdict = Verdict.ACCEPT
            if (etag := delivery.new_row or new_row) is not None:
                version: RowVersion | None = RowVersion(etag)
            elif event.parent is not None:
                version = RowVersion(ANY, is_older=True) if state.started is not None else None
            else:
                row = await self._manager.hub.instances.get(self.instance_id, with_payloads=False)
                lease = self._manager.settings.message_lease
                verdict = judge_start(event, delivery.held, row, state, lease=lease)
                is_older = row is not None and is_of_older_run(row, event.instance.execution_id)
                version = None if row is None else RowVersion(row.etag, is_older)
            result.put(delivery, verdict)
            if verdict is Verdict.ACCEPT:
                starting = event
                self._row_version = version
                if state.started is not None:
                    state = self._begin_generation()
        seen: set[object] = set()
        for delivery in batch:
            if isinstance(delivery.event, ExecutionStarted):
                continue
            verdict = judge(state, delivery.message, delivery.dequeue_count, starting=starting)
            if verdict is Verdict.ACCEPT and len(batch) > 1 and (key := identity_in_batch(delivery)) is not None:
                if key in seen:
                    verdict = Verdict.DROP
                seen.add(key)
            result.put(delivery, verdict)
        return result

    async def _current_state(
        self, batch: list[Delivery], starts: list[Delivery], *, is_first: bool = False
    ) -> RuntimeState:
        if self._state is not None:
            known = self._state.execution_id
            newer = any(start.message.target.execution_id != known for start in starts) if starts else False
            if not newer and not wake(batch):
                return self._state
            self.forget()
        if is_first or begin_instance(starts):
            self._state = RuntimeState()
            return self._state
        loaded = await self._manager.hub.history.load(self.instance_id)
        self._etag = loaded.etag
        self._leftovers = loaded.partial_rows
        self._blobs = dict(loaded.blobs)
        self._is_cut_off = not loaded.is_complete
        self._state = RuntimeState(loaded.events)
        self._state.inherited_status = loaded.inherited_status
        self.foreign = self._state.open_activities() | self._children_elsewhere(self._state)
        self.foreign_requests = {
            request_id for request_id, entity in self._state.open_requests().items() if not self._manager.owns(entity)
        }
        if self.waits_for_others:
            self._manager.expect(self.partition)
        self._loaded(loaded)
        return self._state

    def _loaded(self, loaded: LoadedHistory) -> None:
        """The history was read; a subclass may keep more of it."""

    def _children_elsewhere(self, state: RuntimeState) -> set[int]:
        owns = self._manager.owns
        return {task_id for task_id, child in state.open_children().items() if not owns(child)}

    def _begin_generation(self) -> RuntimeState:
        """A start replaces the generation that is in the history; its rows are overwritten from the first on."""
        if self._run is not None:
            self._run.close()
            self._run = None
        self.foreign.clear()
        self._leave_blobs()
        if self._state is not None:
            self._to_parents = answers_of_replaced(self._state, self._manager.hub.now())
        self._state = RuntimeState()
        return self._state

    def _leave_blobs(self) -> None:
        """What the session knows of blobs was the generation's that is replaced: none of its columns is a new one's."""
        self._replaced += self._blobs.values()
        self._blobs = {}

    # ---- batches without an episode --------------------------------------------------------------------------------

    async def _settle_without_episode(self, batch: Batch) -> None:
        state = self._state
        assert state is not None
        if batch.dropped:
            # A row that is repaired ahead of a merge under way is followed by it, whatever a client has done meanwhile.
            await self._manager.merges.flush(lambda instance_id: instance_id == self.instance_id)
        if state.started is None:
            await self._settle_without_history(batch)
            self.forget()
        elif batch.dropped:
            await self._repair_row(state, batch)
        if self._state is not None and self._state.is_finished:
            self.forget()

    async def _settle_without_history(self, batch: Batch) -> None:
        """Messages to an instance that never ran: wait for a pending start, end it, or drop them (task-hub 6.5)."""
        others = [item for item in batch.dropped if not isinstance(item.event, ExecutionStarted)]
        if others:
            row = await self._manager.hub.instances.get(self.instance_id, with_payloads=False)
            # One that runs and has no history was purged, and its first row written late: it can be ended.
            is_ended = row is not None and not row.runtime_status.is_finished and termination(others) is not None
            if row is not None and (is_ended or row.runtime_status is OrchestrationStatus.Pending):
                await self._keep_for_start(batch, others, row)
            else:
                logger.info(
                    "Instance '%s' does not exist: %d message(s) for it are dropped.", self.instance_id, len(others)
                )
                if row is None:
                    # No purge will come to them: their blobs first, since a message leads to its blob.
                    await asyncio.gather(*(self._manager.hub.messages.delete_blob(item.held.blob) for item in others))
        await self._manager.delete(batch.dropped)

    async def _keep_for_start(self, batch: Batch, early: list[Delivery], row: InstanceStatus) -> None:
        """Put off what was sent to an instance whose start is on its way; a termination ends it before it runs."""
        ends = termination(early)
        if ends is None:
            batch.dropped = [item for item in batch.dropped if item not in early]
            await self._manager.put_off(early, until=row.scheduled_start_time)
        else:
            # Its first checkpoint may have been sent, and storage may act on it yet.
            await self._manager.hub.history.fence(self.instance_id, row.execution_id or "", self._etag)
            await self._manager.hub.instances.terminate(self.instance_id, ends, row.etag)

    async def _repair_row(self, state: RuntimeState, batch: Batch) -> None:
        """The history holds these messages already; a crash may have come between it and the Instances row."""
        row = await self._manager.hub.instances.get(self.instance_id, with_payloads=False)
        is_later = row is not None and is_of_later_run(row, state)
        if row is not None and is_later and state.is_finished and row.runtime_status is OrchestrationStatus.Pending:
            early = [item for item in batch.dropped if is_meant_for(item, row, state)]
            if early:
                await self._keep_for_start(batch, early, row)
        dropped = batch.dropped
        if row is None or not (is_later or is_up_to_date(row, state)):
            self.forget()
            state = await self._current_state([], [])  # behind the row, so that nothing newer is covered
            if state.started is not None and await self._write_row(state, row) is None:
                batch.deferred.extend(dropped)
                return
        await self._manager.delete(dropped)

    async def _write_row(self, state: RuntimeState, row: InstanceStatus | None) -> str | None:
        """Write the whole row from the history, unless ``row`` has changed since it was read, before the history was.

        Returns:
            Its ETag; None if it has changed: what the history says may be old, too.
        """
        if state.is_rewinding:
            return ANY if row is None else row.etag  # it says Failed until the instance is woken
        entity = self._whole_row(state, await self._custom_status(state))
        try:
            instances = self._manager.hub.instances
            if row is None:
                return await instances.merge(entity, None)
            is_older = is_of_older_run(row, state.execution_id, state)
            return await (instances.replace if is_older else instances.merge)(entity, row.etag)
        except (AlreadyExistsError, NotFoundError, PreconditionFailedError):
            self.forget()
            return None

    def _whole_row(self, state: RuntimeState, status: str | None) -> Entity:
        """What makes the Instances row agree with the history, however far behind it is."""
        urls = {place: self._manager.hub.payloads.url(blob) for place, blob in self._blobs.items()}
        return self._row(state, state.events, status, urls)

    def _row(self, state: RuntimeState, events: Sequence[HistoryEvent], status: str | None, urls: Urls) -> Entity:
        return self._manager.hub.instances.checkpoint(
            self.instance_id, state.execution_id, events, status, urls, keeps_status=state.is_continued
        )

    async def repair(self, execution_id: str) -> str | None:
        """Write the Instances row from the history, whatever it says now.

        Args:
            execution_id: of the run that a merge has just written; if it was purged meanwhile, its row goes again.

        Returns:
            The row's ETag, None if there is no row of this run any more.
        """
        while True:
            row = await self._manager.hub.instances.get(self.instance_id, with_payloads=False)
            state = await self._current_state([], [])
            if state.started is None:
                # A purge that has not come to all of the history needs the row, to be found should it be cut off.
                is_there = self._etag is not None or bool(state.events)
                if is_there or await self._remove_row(row, execution_id):
                    return None
            elif row is not None and is_of_later_run(row, state):
                return None
            elif (etag := await self._write_row(state, row)) is not None:
                return etag

    async def _remove_row(self, row: InstanceStatus | None, execution_id: str) -> bool:
        """Remove the row of a purged run; False if it has changed since it was read."""
        if row is None or row.execution_id != execution_id:
            return True
        try:
            await self._manager.hub.instances.delete(self.instance_id, row.etag)
        except PreconditionFailedError:
            self.forget()
            return False
        except NotFoundError:
            pass  # whoever purges it was faster
        return True

    async def _custom_status(self, state: RuntimeState) -> str | None:
        """No history keeps the custom status that the code sets: run the code once more to know it."""
        assert state.started is not None
        orchestrator = self._manager.functions.orchestrator(state.started.name)
        if orchestrator is None:
            return None
        if self._run is None:
            run = begin_run(state, orchestrator)
            await self._manager.user_code.call(lambda: run.feed(state.events, replaying=True))
            run.take_decisions()
            self._run = run
        return self._run.custom_status

    # ---- the episode -----------------------------------------------------------------------------------------------

    async def _episode(self, batch: Batch) -> None:
        manager = self._manager
        state = self._state
        assert state is not None
        received = order_received([delivery.event for delivery in batch.accepted])
        started = state.started or next(event for event in received if isinstance(event, ExecutionStarted))
        orchestrator = manager.functions.orchestrator(started.name)
        versioning = manager.settings.versioning
        episode: Episode
        if not versioning.accepts(started.version):
            if versioning.failure is VersionFailure.REJECT:
                self._leave_version(batch, started)
                return
            text = (
                f"Orchestration version did not comply with Worker Versioning. {versioning.mismatch(started.version)}"
            )
            details = FailureDetails("VersionMismatch", text, is_non_retriable=True)
            episode = self._reject(state, received, str(details), details)
        elif (reason := manager.why_not(self.instance_id, started.name, batch.accepted)) is not None:
            episode = self._reject(state, received, reason)
        elif orchestrator is not None:
            run = self._run
            self._run = None
            now, rules = manager.hub.now(), manager.episode_rules
            code = partial(run_episode, state, run, orchestrator, received, now=now, rules=rules)
            episode, self._run = await manager.user_code.call_within(manager.settings.episode_limit, code)
        elif manager.leave_to_others((*batch.accepted, *batch.dropped)):
            batch.deferred.extend((*batch.accepted, *batch.dropped))
            return
        else:
            text = unknown_function("orchestrator", started.name, manager.functions.orchestrators)
            episode = self._reject(state, received, text)
        if self._to_parents:
            episode = replace(episode, outgoing=[*self._to_parents, *episode.outgoing])
            self._to_parents = []
        await self._commit(batch, episode, state)

    def _leave_version(self, batch: Batch, started: ExecutionStarted) -> None:
        """Put everything back for a worker of another version; one line tells it, not one line a try."""
        text = self._manager.settings.versioning.mismatch(started.version)
        if self._manager.complain_once(self.instance_id, text):
            logger.warning(
                "Instance '%s' of orchestrator '%s' is left to another worker: %s", self.instance_id, started.name, text
            )
        batch.deferred.extend((*batch.accepted, *batch.dropped))
        self.forget()

    def _reject(
        self, state: RuntimeState, received: Sequence[HistoryEvent], reason: str, details: FailureDetails | None = None
    ) -> Episode:
        logger.error("Instance '%s' fails: %s", self.instance_id, reason)
        return reject(state, received, reason, now=self._manager.hub.now(), failure_details=details)

    async def _commit(self, batch: Batch, episode: Episode, before: RuntimeState) -> None:
        manager = self._manager
        loop = asyncio.get_running_loop()
        sending = loop.time()
        written = await manager.outgoing.send(
            episode.outgoing, sender=Sender(self.instance_id, before.execution_id), episode=episode.number
        )
        state = self._state = episode.state
        execution_id = state.execution_id
        since = loop.time()
        try:
            if self._etag is None:
                make_sure_to_be_first(batch.accepted, manager.hub.now())
            appended = await manager.hub.history.append(
                self.instance_id,
                execution_id or "",
                episode.first,
                episode.events,
                etag=self._etag,
                leftovers=self._leftovers,
                replaces=begin_instance(batch.accepted),
                receipts=self._receipts_text(),
                inherited_status=state.inherited_status if episode.first == 0 else None,
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
            manager.outgoing.doubt(self.instance_id, self._etag, written)
            raise
        await manager.outgoing.settle_doubt(self.instance_id, self._etag)
        # A row that the session has not seen is there if a history is, but for the row that a crash has left unwritten.
        row = self._row_version = self._row_version or RowVersion(None if self._etag is None else ANY)
        self._etag = appended.etag
        if episode.afterwards:
            # If this fails the received messages come back, and the history that they meet tells what is to be sent.
            written += await manager.outgoing.send(
                episode.afterwards, sender=Sender(self.instance_id, before.execution_id), episode=episode.number
            )
        self._leftovers = ()
        self._is_cut_off = False
        if state is not before:
            self._leave_blobs()
            self.foreign.clear()
            self.foreign_requests.clear()
        replaced, self._replaced = self._replaced, []
        self._blobs.update(appended.blobs)
        for delivery in batch.accepted:
            settled = settled_id(delivery.event)
            if settled is not None:
                self.foreign.discard(settled)
            elif isinstance(delivery.event, EventRaised):
                self.foreign_requests.discard(delivery.event.name)
        self._hand_over(written, elapsed=loop.time() - sending)
        if wake(batch.accepted) or (batch.dropped and not state.is_rewinding):
            # A duplicate tells of a crash that may have come between an earlier checkpoint and its row; after a rewind
            # the row may still tell of the failure.
            entity = self._whole_row(state, episode.custom_status)
        else:
            entity = self._row(state, episode.events, episode.custom_status, appended.urls)
        finished = state.completed

        def after() -> None:
            if finished is not None:
                manager.finished(self.instance_id, finished)
            if replaced:
                manager.delete_blobs(replaced)

        covered = [delivery.held for delivery in (*batch.accepted, *batch.dropped)]
        call = after if finished is not None or replaced else None
        manager.merges.submit(self.instance_id, entity, covered, call, row=row, since=since)
        if finished is not None or manager.settings.force_replay:
            self.forget()

    def _receipts_text(self) -> str | None:
        """What the history keeps of received messages: only entities need it."""
        return None

    def _hand_over(self, written: Sequence[Written], *, elapsed: float) -> None:
        """History is committed: what this process wrote for itself may start now."""
        manager = self._manager
        waited = self.waits_for_others
        surplus = False
        for item in written:
            event = item.outgoing.message.event
            if not item.is_ours:
                if isinstance(event, TaskScheduled):
                    surplus = True
                    self.await_others(item.outgoing.message.target, event.event_id)
                elif isinstance(event, ExecutionStarted) and (parent := answered_parent(event)) is not None:
                    self.await_others(parent.instance, parent.task_schedule_id)
                elif isinstance(event, EventRaised) and not is_entity(self.instance_id):
                    request = request_to(item.outgoing.message.target.instance_id, event.name, event.input)
                    if isinstance(request, RequestMessage) and not request.is_signal:
                        self.foreign_requests.add(request.id)
                continue
            held = manager.leases.hold(item.held(), renew_in=manager.outgoing.renew_in(item, elapsed))
            if isinstance(event, TaskScheduled):
                manager.activities.run_reserved(held)
            else:
                manager.deliver_at(Delivery(item.outgoing.message, held), item.due)
        if surplus:
            manager.activities.note_surplus()
        if self.waits_for_others and not waited:
            manager.expect(self.partition)

    def await_others(self, asking: OrchestrationInstance, task_id: int) -> None:
        """Some other worker may complete this task; what an older generation asked for is awaited by nobody."""
        if self._state is not None and asking.execution_id == self._state.execution_id:
            self.foreign.add(task_id)
