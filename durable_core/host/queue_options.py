"""``extensions.queues`` of host.json (functions-host 10.2, 14.6)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from durable_core.host.settings import section
from durable_core.host.values import choice, integer, seconds

_LONGEST = 7 * 24 * 3600


@dataclass(frozen=True, slots=True)
class QueueOptions:
    """How queue functions receive; times are seconds.

    Attributes:
        max_polling_interval: longest pause between polls of an empty queue.
        visibility_timeout: how long a message whose function failed stays invisible.
        batch_size: messages received at once, at most 32.
        new_batch_threshold: receive again when only so many messages of this queue are being worked on.
        max_dequeue_count: tries before a message goes to the poison queue.
        is_base64: bodies are Base64 on the wire (``messageEncoding``).
    """

    max_polling_interval: float = 2.0
    visibility_timeout: int = 0
    batch_size: int = 16
    new_batch_threshold: int = 8
    max_dequeue_count: int = 5
    is_base64: bool = True


def queue_options(host: Mapping[str, Any]) -> QueueOptions:
    """Read and check the options. The longest pause is 2 s as under ``func start``, 1 min being the default in Azure.

    Raises:
        ConfigurationError: one of them cannot be used; the text names it.
    """
    queues = section(host, "extensions", "queues")
    defaults = QueueOptions()
    batch = integer(queues, "batchSize", defaults.batch_size, 1, 32)
    return QueueOptions(
        seconds(queues, "maxPollingInterval", defaults.max_polling_interval),
        int(seconds(queues, "visibilityTimeout", 0.0, least=0.0, most=_LONGEST)),
        batch,
        integer(queues, "newBatchThreshold", batch // 2, 0),
        integer(queues, "maxDequeueCount", defaults.max_dequeue_count, 1),
        choice(queues, "messageEncoding", {"base64": True, "none": False}, "base64"),
    )
