"""One entity inside this worker: its messages in batches, one checkpoint per batch (orchestration-semantics 9.4)."""

from __future__ import annotations

import logging

from durable_core.core.entities import Entity, Operation, Outcome, run_batch
from durable_core.core.entity_ids import EntityId
from durable_core.core.entity_receipts import Receipts
from durable_core.core.episode import Episode, Verdict
from durable_core.core.history import EventRaised
from durable_core.core.state import RuntimeState
from durable_core.taskhub.history_store import LoadedHistory
from durable_core.worker.delivery import Delivery
from durable_core.worker.functions import unknown_function
from durable_core.worker.session import Batch, Session

logger = logging.getLogger("durable_core.worker")


class EntitySession(Session):
    """The session of an entity; between batches its last generation stays cached."""

    _receipts = Receipts()

    async def _sort(self, batch: list[Delivery]) -> Batch:
        result = Batch()
        state = await self._current_state(batch, [])
        for delivery in batch:
            wanted = delivery.message.target.execution_id
            if not isinstance(delivery.event, EventRaised):
                logger.warning(
                    "Entity '%s' received a message of type %s, which only orchestrations understand; it is dropped.",
                    self.instance_id,
                    type(delivery.event).__name__,
                )
                result.put(delivery, Verdict.DROP)
            elif wanted is not None and wanted != state.execution_id:
                result.put(delivery, Verdict.DROP)
            else:
                result.put(delivery, Verdict.ACCEPT)
        return result

    def _loaded(self, loaded: LoadedHistory) -> None:
        self._receipts = Receipts.decode(loaded.receipts)

    def _receipts_text(self) -> str | None:
        return self._receipts.encode()

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
            if await manager.leave_to_others((*batch.accepted, *batch.dropped)):
                batch.deferred.extend((*batch.accepted, *batch.dropped))
                return
            entity = self._unknown(entity_id)
        received = [delivery.event for delivery in batch.accepted if isinstance(delivery.event, EventRaised)]
        execution_id = f"{manager.hub.payloads.random.getrandbits(128):032x}"
        episode = await manager.user_code.call(self._run_batch, state, entity, received, execution_id)
        await self._commit(batch, episode, state)

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
