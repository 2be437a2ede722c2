"""What a worker's settings say about entities."""

from __future__ import annotations

from dataclasses import dataclass

from durable_core.core.ticks import LONGEST_DELAY, PER_SECOND


@dataclass(frozen=True, slots=True)
class EntityRules:
    """How batches of entity operations are made; times in ticks.

    Attributes:
        reorder_window: for messages of one sender (``entityMessageReorderWindowInMinutes``), 0 switches order off.
        batch_limit: operations per batch (``maxEntityOperationBatchSize``).
        rolls_back: undo state and messages of an operation that fails (``rollbackEntityOperationsOnExceptions``).
        longest_delay: the furthest that a message is delayed at once; what is due later is sent again.
    """

    reorder_window: int = 30 * 60 * PER_SECOND
    batch_limit: int = 5000
    rolls_back: bool = True
    longest_delay: int = LONGEST_DELAY
