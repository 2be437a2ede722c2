"""One entity inside this worker: its messages in batches, one checkpoint per batch (orchestration-semantics 9.4)."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import replace

from durable_core.core.entities import Entity, Operation, Outcome, run_batch
from durable_core.core.entity_ids import EntityId
from durable_core.core.entity_receipts import Receipts
from durable_core.core.entity_state import EntityStatus, SchedulerState
from durable_core.core.episode import Episode, Outgoing, Verdict
from durable_core.core.history import EventRaised, OrchestrationInstance
from durable_core.core.messages import TaskMessage
from durable_core.core.state import RuntimeState
from durable_core.taskhub.history_store import LoadedHistory
from durable_core.worker.delivery import Delivery
from durable_core.worker.functions import unknown_function
from durable_core.worker.session import Batch, Session

logger = logging.getLogger("durable_core.worker")


class EntitySession(Session):
    """The session of an entity; between batches its last generation stays cached."""

    _receipts = Receipts()
    _unsent: Sequence[Outgoing] = ()
    """What goes out behind the checkpoint; from a loaded one it may have gone out already, and does so again."""

    async def _sort(self, batch: list[Delivery]) -> Batch:
        result = Batch()
        state = await self._current_state(batch, [])
        known = state.execution_id
        for delivery in batch:
            wanted = delivery.message.target.execution_id
            if not isinstance(delivery.event, EventRaised):
                logger.warning(
                    "Entity '%s' received a message of type %s, which only orchestrations understand; it is dropped.",
                    self.instance_id,
                    type(delivery.event).__name__,
                )
                result.put(delivery, Verdict.DROP)
            elif wanted is not None and wanted != known:
                result.put(delivery, Verdict.DROP)
            else:
                result.accepted.append(delivery)
        return result

    def _loaded(self, loaded: LoadedHistory) -> None:
        receipts, _, unsent = (loaded.receipts or "").partition("\n")
        self._receipts = Receipts.decode(receipts)
        self._unsent = _read_unsent(unsent, self._manager.hub.now())

    def _receipts_text(self) -> str | None:
        text = self._receipts.encode()
        return f"{text}\n{_unsent_text(self._unsent)}" if self._unsent else text

    async def _custom_status(self, state: RuntimeState) -> str | None:
        return EntityStatus.of(SchedulerState.decode(state.started.input if state.started else None)).encode()

    def _must_begin(self) -> bool:
        return False  # a batch has no decisions that a cut-off checkpoint could have lost

    async def _settle_without_episode(self, batch: Batch) -> None:
        await self._manager.delete(batch.dropped)

    async def _episode(self, batch: Batch) -> None:
        manager = self._manager
        state = self._state
        assert state is not None
        try:
            entity_id = EntityId.parse(self.instance_id)
        except ValueError as error:
            logger.error("Messages for instance '%s' are dropped: %s.", self.instance_id, error)
            await manager.delete((*batch.accepted, *batch.dropped))
            return
        entity = manager.functions.entity(entity_id.name)
        if entity is None:
            if manager.leave_to_others((*batch.accepted, *batch.dropped)):
                batch.deferred.extend((*batch.accepted, *batch.dropped))
                return
            entity = self._unknown(entity_id)
        received = [delivery.event for delivery in batch.accepted if isinstance(delivery.event, EventRaised)]
        execution_id = f"{manager.hub.payloads.random.getrandbits(128):032x}"
        episode = await manager.user_code.call(self._run_batch, state, entity, received, execution_id)
        self._unsent = (*self._unsent, *episode.afterwards)
        await self._commit(batch, replace(episode, afterwards=self._unsent), state)
        self._unsent = ()

    def _run_batch(
        self, state: RuntimeState, entity: Entity, received: list[EventRaised], execution_id: str
    ) -> Episode:
        return run_batch(
            self.instance_id,
            state,
            entity,
            received,
            self._receipts,
            execution_id=execution_id,
            now=self._manager.hub.now(),
            rules=self._manager.settings.entities,
        )

    def _unknown(self, entity_id: EntityId) -> Entity:
        """An entity of no function: every operation fails, and nothing of what is stored changes."""
        text = unknown_function("entity", entity_id.name, self._manager.functions.entities)
        if self._manager.complain_once(self.instance_id, text):
            logger.error("Entity '%s': %s", self.instance_id, text)

        def fail(operation: Operation) -> Outcome:
            return Outcome(operation.state, error=text)

        return Entity(entity_id.name, fail)


def _unsent_text(unsent: Sequence[Outgoing]) -> str:
    """Messages as a line of text beside the receipts."""
    return json.dumps(
        [
            [item.message.target.instance_id, item.message.target.execution_id, item.message.event.name,
             item.message.event.input]
            for item in unsent
            if isinstance(item.message.event, EventRaised)
        ],
        separators=(",", ":"),
    )  # fmt: skip


def _read_unsent(text: str, now: int) -> Sequence[Outgoing]:
    if not text:
        return ()
    return [
        Outgoing(
            TaskMessage(
                EventRaised(timestamp=now, name=name, input=input), OrchestrationInstance(instance_id, execution_id)
            )
        )
        for instance_id, execution_id, name, input in json.loads(text)
    ]
