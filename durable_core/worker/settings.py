"""What a worker can be told; the names of host.json stand in brackets (task-hub 9, http-and-protocol 5)."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from durable_core.core.entity_rules import EntityRules
from durable_core.core.versioning import Versioning
from durable_core.taskhub.scale_report import WorkerLimits


def _ten_per_processor() -> int:
    return 10 * (os.cpu_count() or 1)


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """Times are seconds.

    Attributes:
        max_concurrent_activities: activities running at once (``maxConcurrentActivityFunctions``).
        max_concurrent_orchestrators: episodes running at once (``maxConcurrentOrchestratorFunctions``).
        max_concurrent_entities: entity batches running at once (``maxConcurrentEntityFunctions``).
        control_queue_batch_size: messages per receive, at most 32 (``storageProvider.controlQueueBatchSize``).
        control_queue_buffer: receive nothing more while this many control messages are held
            (``storageProvider.controlQueueBufferThreshold``).
        max_polling_interval: longest pause between polls of an idle queue
            (``storageProvider.maxQueuePollingInterval``).
        busy_polling_interval: longest pause while an instance of the partition waits for other workers (design rule 4).
        message_lease: invisibility of a message that is being worked on.
        message_renewal: how often that lease is renewed.
        handover_lease: how long a delayed message stays invisible after its due time, for local firing.
        session_cache_size: instances whose generators are kept in memory between episodes (``sessionCacheSize``).
        session_idle: seconds after which an idle one of them is let go (``extendedSessionIdleTimeoutInSeconds``).
        force_replay: keep no sessions: every episode replays its history (``forceReplay``).
        unknown_function_patience: how long a message for an unknown function is left to other live workers
            (``unknownFunctionTimeout``).
        poison_tries: receives after which a message that cannot be read or processed is set aside.
        max_attempts: receives after which an instance fails whose orchestrator did not come to an end in time.
        max_cut_off: receives that ended with the death of their worker after which the instance or activity fails.
        episode_limit: seconds that an orchestrator may run without waiting for anything (``orchestratorTimeout``).
        activity_limit: seconds that an activity may run (``functionTimeout``), None for no limit.
        store_inputs: keep activity inputs in history (``storeInputsInOrchestrationHistory``).
        default_version: version of children whose call names none (``defaultVersion``).
        versioning: which instances this worker takes (``versionMatchStrategy``, ``versionFailureStrategy``).
        entities: order, batches and failures of entity operations.
        drain_grace: seconds that the hand-over of a partition waits for the episodes in flight.
        activity_grace: seconds that a stop waits for running activities, after the partitions were released
            (``gracefulShutdownTimeout``).
    """

    max_concurrent_activities: int = field(default_factory=_ten_per_processor)
    max_concurrent_orchestrators: int = field(default_factory=_ten_per_processor)
    max_concurrent_entities: int = field(default_factory=_ten_per_processor)
    entities: EntityRules = field(default_factory=EntityRules)
    control_queue_batch_size: int = 32
    control_queue_buffer: int = 256
    max_polling_interval: float = 30.0
    busy_polling_interval: float = 1.0
    message_lease: int = 15
    message_renewal: float = 5.0
    handover_lease: int = 10
    session_cache_size: int = 1000
    session_idle: float = 300.0
    force_replay: bool = False
    unknown_function_patience: float = 120.0
    poison_tries: int = 5
    max_attempts: int = 4
    max_cut_off: int = 3
    episode_limit: float = 60.0
    activity_limit: float | None = None
    store_inputs: bool = False
    default_version: str = ""
    versioning: Versioning = field(default_factory=Versioning)
    drain_grace: float = 10.0
    activity_grace: float = 30.0

    @property
    def limits(self) -> WorkerLimits:
        """What scaling needs to know about a worker."""
        return WorkerLimits(
            self.max_concurrent_activities, self.max_concurrent_orchestrators, self.max_polling_interval
        )
