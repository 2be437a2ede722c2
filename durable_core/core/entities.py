"""The entity scheduler: one batch of messages goes in, the next generation and its messages come out.

Pure, as ``episode`` is for orchestrations: every batch runs operations one after the other and ends in a
continue-as-new whose input is the scheduler state (orchestration-semantics 9.4 to 9.6).
"""

from __future__ import annotations

import json
import logging
import uuid
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from durable_core.core.entity_ids import EntityId
from durable_core.core.entity_messages import (
    CONTINUE,
    ERROR,
    GRANTED,
    OPERATION,
    ORPHANED,
    RELEASE,
    ReleaseMessage,
    RequestMessage,
    ResponseMessage,
    scheduled_name,
)
from durable_core.core.entity_receipts import Receipts
from durable_core.core.entity_rules import EntityRules
from durable_core.core.entity_sorter import SEEN
from durable_core.core.entity_state import EntityStatus, SchedulerState
from durable_core.core.episode import Episode, Outgoing
from durable_core.core.history import (
    FIRE_AND_FORGET,
    EventRaised,
    ExecutionStarted,
    OrchestrationInstance,
    OrchestratorCompleted,
    OrchestratorStarted,
    ParentInstance,
)
from durable_core.core.ids import entity_request_id
from durable_core.core.messages import TaskMessage
from durable_core.core.records import struct
from durable_core.core.state import RuntimeState
from durable_core.core.ticks import PER_MILLISECOND, PER_SECOND

logger = logging.getLogger("durable_core.entities")

_EARLY = 100 * PER_MILLISECOND
"""A request may run this much before it is due (behaviour 112)."""
_MOST_KEPT = 12_000
"""Characters of answers that are kept with a checkpoint and sent behind it; the rest is sent before, as .NET does."""
_FRAME = 100
_LOST_CONTINUE = 10 * PER_SECOND
"""A suspended entity goes on by itself after this time: its ``continue`` message was lost (semantics 9.5)."""


@struct
class Operation:
    """One operation as an entity function gets it; all values are JSON text.

    Attributes:
        state: None if the entity does not exist.
        now: ticks at which the batch began.
        request_id: of the message that asks for it.
    """

    entity: EntityId
    name: str
    input: str | None
    state: str | None
    is_signal: bool
    now: int
    request_id: str = ""


@struct
class EntitySignal:
    """A signal that an operation sends; ``due`` (ticks) delays it."""

    target: EntityId
    operation: str
    input: str | None = None
    due: int | None = None


@struct
class EntityStart:
    """An orchestration that an operation starts; without an id it gets a GUID."""

    name: str
    input: str | None = None
    instance_id: str | None = None
    version: str | None = None


@struct
class Outcome:
    """What became of an operation.

    Attributes:
        state: JSON text after it, None if the entity does not exist (any more).
        result: JSON text for the caller.
        error: message of the failure, None if it succeeded.
        sent: signals and starts, in order.
        trace: of a failure, for the log.
    """

    state: str | None
    result: str | None = None
    error: str | None = None
    sent: Sequence[EntitySignal | EntityStart] = ()
    trace: str = ""


@struct
class Entity:
    """An entity function behind its programming model; ``run`` never raises.

    With ``rolls_back`` False failed operations of this entity are kept, whatever the rules say.
    """

    name: str
    run: Callable[[Operation], Outcome]
    rolls_back: bool = True


@dataclass(slots=True)
class _Batch:
    """The work on one batch of messages."""

    instance_id: str
    id: EntityId
    entity: Entity
    rules: EntityRules
    now: int
    execution_id: str | None
    state: SchedulerState
    receipts: Receipts
    front: deque[RequestMessage] = field(default_factory=deque)
    """Requests of the lock's owner: served before the queue."""
    outgoing: list[Outgoing] = field(default_factory=list)
    afterwards: list[Outgoing] = field(default_factory=list)
    """What nobody may see of a batch that is not committed: results, which another try could contradict, and what a
    lock sets free; somebody else could lock first in another try, and both would wait for ever."""
    kept: int = 0
    """Characters of ``afterwards``, about."""
    broken: str | None = None
    """Why the stored state cannot be read: then every request fails, and the record stays as it is."""
    executed: int = 0

    # ---- what comes in ---------------------------------------------------------------------------------------------

    def receive(self, event: EventRaised) -> None:
        """Take one message in; one that cannot be read is dropped with a line in the log."""
        try:
            if event.name == RELEASE:
                self._release(ReleaseMessage.decode(event.input))
            elif event.name.startswith(OPERATION):
                self._request(RequestMessage.decode(event.input))
            else:
                self.state.is_suspended = False
        except ValueError as error:
            logger.error(
                "Entity '%s': the message '%s' cannot be read and is dropped: %s", self.instance_id, event.name, error
            )

    def _request(self, request: RequestMessage) -> None:
        if request.due is not None and request.due > self.now + _EARLY:
            if request.id not in self.receipts:
                self._send_request(self.instance_id, request)
            return
        ready = (
            [request]
            if request.due is not None
            else self.state.sorter.receive(request, self.rules.reorder_window, self.receipts)
        )
        for message in ready:
            if message.id != SEEN and self._is_new(message.id):
                self.state.sorter.seen(message)
                if not (message.lockset and self._is_given_up(message)):
                    self._admit(message)

    def _is_given_up(self, lock: RequestMessage) -> bool:
        """The owner has released this lock already."""
        return f"{RELEASE} {lock.id}" in self.receipts

    def _admit(self, request: RequestMessage) -> None:
        if request.parent is not None and request.parent == self.state.locked_by:
            self.front.append(request)
        else:
            self.state.queue.append(request)

    def _release(self, release: ReleaseMessage) -> None:
        if release.id is not None and release.id != ORPHANED:
            if not self._is_new(f"{RELEASE} {release.id}"):
                return
            # An owner that ended before its turn came gives up its place, too: nobody else would ever unlock for it.
            for queue in (self.front, self.state.queue):
                for waiting in [item for item in queue if item.is_lock_request and item.id == release.id]:
                    queue.remove(waiting)
        if release.parent is not None and release.parent == self.state.locked_by and not self._is_late(release):
            self.state.locked_by = None
            self.receipts.lock_id = None

    def _is_late(self, release: ReleaseMessage) -> bool:
        """It ends the owner's last critical section, and the lock is that of the next one already: the request for that
        came through other entities, and has overtaken this."""
        known = self.receipts.lock_id
        return release.id not in (None, ORPHANED) and known is not None and release.id != known

    def _is_new(self, message_id: str) -> bool:
        """False for a message that came before; otherwise it is remembered from now on."""
        if self.receipts.add(message_id, self.now):
            return True
        logger.info("Entity '%s': message %s came again and is dropped.", self.instance_id, message_id)
        return False

    # ---- what runs -------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Run operations up to the limit; a lock request ends the batch (behaviours 102, 109, 114)."""
        state = self.state
        while not state.is_suspended:
            request = self._next()
            if request is None:
                return
            if self.executed >= self.rules.batch_limit:
                self.front.appendleft(request)
                break
            if request.lockset and self.broken is None:
                self._lock(request)
                if self._has_next():
                    break
                return
            self.executed += 1
            self._execute(request)
        if not state.is_suspended:
            self._send(OrchestrationInstance(self.instance_id), CONTINUE, None)

    def put_back(self) -> None:
        """What the owner sent and did not get its turn goes before the others."""
        self.state.queue.extendleft(reversed(self.front))
        self.front.clear()

    def _has_next(self) -> bool:
        queue, locked_by = self.state.queue, self.state.locked_by
        return bool(self.front) or bool(queue and (locked_by is None or queue[0].parent == locked_by))

    def _next(self) -> RequestMessage | None:
        if self.front:
            return self.front.popleft()
        return self.state.queue.popleft() if self._has_next() else None

    def _execute(self, request: RequestMessage) -> None:
        state = self.state
        before = state.state if state.exists else None
        if self.broken is not None:
            outcome = Outcome(None, error=self.broken)
        else:
            outcome = self.entity.run(
                Operation(
                    self.id,
                    request.operation or "",
                    plain_input(request),
                    before,
                    request.is_signal,
                    self.now,
                    request.id,
                )
            )
        if outcome.error is None or not (self.rules.rolls_back and self.entity.rolls_back):
            state.state = outcome.state
            state.exists = outcome.state is not None
            for number, item in enumerate(outcome.sent):
                self._emit(item, request, number)
        if outcome.error is not None:
            logger.log(
                logging.ERROR if request.is_signal else logging.WARNING,
                "Entity '%s': operation '%s', %s by %s, failed: %s%s",
                self.instance_id,
                request.operation,
                "signalled" if request.is_signal else "called",
                f"'{request.parent}'" if request.parent else "a client",
                outcome.error,
                f"\n{outcome.trace}" if outcome.trace else "",
            )
        if not request.is_signal:
            self._respond(
                request,
                ResponseMessage(result=outcome.result)
                if outcome.error is None
                else ResponseMessage(result=json.dumps(outcome.error, ensure_ascii=False), exception_type=ERROR),
            )

    def serve_owner(self) -> None:
        """The lock's owner goes before the others, also with what came before its lock was committed: the answer to a
        lock request may reach it, and its next request come here, while the batch that locks is being repeated."""
        state = self.state
        if state.locked_by is not None and any(item.parent == state.locked_by for item in state.queue):
            self.front.extend(item for item in state.queue if item.parent == state.locked_by)
            state.queue = deque(item for item in state.queue if item.parent != state.locked_by)

    def _lock(self, request: RequestMessage) -> None:
        self.state.locked_by = request.parent
        self.receipts.lock_id = request.id
        self.serve_owner()
        self._pass_on(request)

    def _pass_on(self, request: RequestMessage) -> None:
        """Ask the next entity of the lock set, or tell the owner that it has them all."""
        position = request.position + 1
        if position < len(request.lockset):
            target = request.lockset[position].instance_id
            before, self.outgoing = self.outgoing, self.afterwards
            self._send_request(target, self._labelled(replace(request, position=position), target))
            self.outgoing = before
        else:
            self._respond(request, ResponseMessage(result=GRANTED))

    # ---- what goes out ---------------------------------------------------------------------------------------------

    def _emit(self, item: EntitySignal | EntityStart, cause: RequestMessage, number: int) -> None:
        """Send what an operation asked for, under ids that stay the same when the batch is repeated."""
        request_id = entity_request_id(self.instance_id, cause.id, number)
        if isinstance(item, EntityStart):
            self._start(item, request_id)
            return
        request = RequestMessage(
            id=str(request_id),
            operation=item.operation,
            is_signal=True,
            input=item.input,
            parent=self.instance_id,
            due=item.due,
        )
        target = item.target.instance_id
        self._send_request(target, request if item.due is not None else self._labelled(request, target))

    def _start(self, item: EntityStart, request_id: uuid.UUID) -> None:
        target = OrchestrationInstance(item.instance_id or request_id.hex, request_id.hex)
        event = ExecutionStarted(
            timestamp=self.now,
            instance=target,
            name=item.name,
            version=item.version or "",
            input=item.input,
            parent=ParentInstance(
                self.instance_id, OrchestrationInstance(self.instance_id, self.execution_id), len(self.outgoing)
            ),
            tags={FIRE_AND_FORGET: ""},
        )
        self.outgoing.append(Outgoing(TaskMessage(event, target)))

    def _labelled(self, request: RequestMessage, target: str) -> RequestMessage:
        return self.state.sorter.label(request, target, self.now, self.rules.reorder_window)

    def _send_request(self, target: str, request: RequestMessage) -> None:
        due = request.due
        if due is None:
            self._send(OrchestrationInstance(target), OPERATION, request.encode())
            return
        due = min(due, self.now + self.rules.longest_delay)
        self._send(OrchestrationInstance(target), scheduled_name(due), request.encode(), due)

    def _respond(self, request: RequestMessage, response: ResponseMessage) -> None:
        if request.parent is None:
            return
        text = response.encode()
        length = len(text) + len(request.parent) + _FRAME
        if self.kept + length > _MOST_KEPT and not request.is_lock_request:
            self._send(OrchestrationInstance(request.parent, request.parent_execution), request.id, text)
            return
        self.kept += length
        before, self.outgoing = self.outgoing, self.afterwards
        self._send(OrchestrationInstance(request.parent, request.parent_execution), request.id, text)
        self.outgoing = before

    def _send(self, target: OrchestrationInstance, name: str, input: str | None, due: int | None = None) -> None:
        event = EventRaised(timestamp=self.now, name=name, input=input)
        self.outgoing.append(Outgoing(TaskMessage(event, target), due))


def run_batch(
    instance_id: str,
    before: RuntimeState,
    entity: Entity,
    received: Sequence[EventRaised],
    receipts: Receipts,
    *,
    execution_id: str,
    now: int,
    rules: EntityRules,
) -> Episode:
    """Run the operations that ``received`` brings or sets free.

    Args:
        before: the entity's generation so far, empty for a new entity.
        receipts: ids of earlier messages; grows by those of this batch.
        execution_id: of the generation that the batch begins.
        now: ticks; raised if needed so that it grows from batch to batch.

    Raises:
        ValueError: ``instance_id`` is no entity's.
    """
    now = max(now, before.last_started + 1)
    started = before.started
    record = started.input if started is not None else None
    broken = None
    try:
        state = SchedulerState.decode(record)
    except ValueError as error:
        state = SchedulerState()
        broken = f"The stored record of entity '{instance_id}' cannot be read; purge the entity to begin anew: {error}"
        logger.error("%s", broken)
    if state.is_suspended and started is not None and started.timestamp + _LOST_CONTINUE < now:
        state.is_suspended = False
    batch = _Batch(
        instance_id,
        EntityId.parse(instance_id),
        entity,
        rules,
        now,
        started.instance.execution_id if started is not None else None,
        state,
        receipts,
        broken=broken,
    )
    if receipts.generation != batch.execution_id:
        receipts.lock_id = None
    batch.serve_owner()
    for event in received:
        batch.receive(event)
    batch.run()
    batch.put_back()
    receipts.tidy(now)
    receipts.generation = execution_id
    generation = RuntimeState(
        (
            OrchestratorStarted(timestamp=now),
            ExecutionStarted(
                timestamp=now,
                instance=OrchestrationInstance(instance_id, execution_id),
                name=instance_id,
                input=state.encode() if broken is None else record,
            ),
            OrchestratorCompleted(timestamp=now),
        )
    )
    number = 1 if started is None else 2
    status = EntityStatus.of(state).encode()
    return Episode(generation, 0, generation.events, batch.outgoing, number, status, batch.afterwards)


def plain_input(request: RequestMessage) -> str | None:
    """The operation's input as JSON text.

    The extension's Python callers encode it twice (golden python-stack), so in a message of the extension a text that
    holds JSON again stands for the value inside.
    """
    text = request.input
    if text is None or request.is_core or not text.startswith('"'):
        return text
    try:
        inner = json.loads(text)
        json.loads(inner)
    except (ValueError, TypeError):
        return text
    return str(inner)
