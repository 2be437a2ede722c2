"""Every option of host.json, and what becomes of it here; ``docs/settings.md`` shows the same tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from durable_core.host.settings import option


@dataclass(frozen=True, slots=True)
class Option:
    """One option.

    Attributes:
        path: below its section, with dots.
        default: what holds without it.
        effect: what it does; for an option without effect, why it has none.
        is_honoured: it has an effect.
    """

    path: str
    default: str
    effect: str
    is_honoured: bool = True


def _without(path: str, default: str, reason: str) -> Option:
    return Option(path, default, reason, is_honoured=False)


_LEASE = "message leases are 15 s and renewed, so that another worker takes over quickly"
_NO_GRPC = "workers and apps do not talk through gRPC"
_NO_TRACING = "no traces of its kind are written"
_NO_EVENT_GRID = "nothing is published to Event Grid"

DURABLE_TASK: tuple[Option, ...] = (
    Option("hubName", "the site's name, else TestHubName", "name of the task hub; `%NAME%` is an app setting"),
    Option("maxConcurrentActivityFunctions", "10 per processor", "activities running at once"),
    Option("maxConcurrentOrchestratorFunctions", "10 per processor", "orchestrator episodes running at once"),
    Option("maxConcurrentEntityFunctions", "10 per processor", "entity batches running at once"),
    Option("maxEntityOperationBatchSize", "5000", "operations in one entity batch"),
    Option("entityMessageReorderWindowInMinutes", "30", "for how long an entity keeps the order of messages"),
    Option("rollbackEntityOperationsOnExceptions", "true", "a failed entity operation leaves the state as it was"),
    Option("overridableExistingInstanceStates", "NonRunningStates", "which instances a start with their id replaces"),
    Option("useAppLease", "true", "one app at a time owns the hub"),
    Option("storeInputsInOrchestrationHistory", "false", "keeps activity inputs in the history"),
    Option("defaultVersion", "none", "version of new instances, and of this worker"),
    Option("versionMatchStrategy", "CurrentOrOlder", "which versions this worker takes: None, Strict, CurrentOrOlder"),
    Option("versionFailureStrategy", "Reject", "what becomes of others: Reject (left to other workers), Fail"),
    Option("extendedSessionIdleTimeoutInSeconds", "300", "how long an idle instance stays in memory between episodes"),
    Option("httpSettings.defaultAsyncRequestSleepTimeMilliseconds", "30000", "pause between polls of call_http"),
    Option("httpSettings.useForwardedHost", "false", "links take the address that a proxy was asked for"),
    Option("gracefulShutdownTimeout", "00:00:30", "time that activities get when a worker stops; only here"),
    Option("orchestratorTimeout", "00:01:00", "time that an orchestrator may run without waiting; only here"),
    Option("unknownFunctionTimeout", "00:02:00", "time that others get for a function not known here; only here"),
    Option("sessionCacheSize", "1000", "instances that stay in memory between episodes; only here"),
    Option("forceReplay", "false", "every episode replays its history: no instance stays in memory; only here"),
    _without("localRpcEndpointEnabled", "none", "there is no local RPC endpoint"),
    _without("extendedSessionsEnabled", "false", "instances always stay in memory between episodes"),
    _without("maxOrchestrationActions", "100000", "there is no such limit"),
    _without("useGracefulShutdown", "false", "every stop is graceful"),
    _without("throwStatusExceptionsOnRaiseEvent", "none", "events to missing and finished instances always fail"),
    _without("appLeaseOptions.renewInterval", "00:00:25", "the times of the app lease are fixed"),
    _without("appLeaseOptions.acquireInterval", "00:05:00", "the times of the app lease are fixed"),
    _without("appLeaseOptions.leaseInterval", "00:01:00", "the times of the app lease are fixed"),
    _without("maxGrpcMessageSizeInBytes", "4194304", _NO_GRPC),
    _without("grpcHttpClientTimeout", "00:01:40", _NO_GRPC),
    Option("storageProvider.type", "AzureStorage", "any other name stops the start"),
    Option("storageProvider.connectionName", "Storage", "name of the setting with the storage connection"),
    Option("storageProvider.connectionStringName", "Storage", "old name of connectionName"),
    Option("storageProvider.partitionCount", "4", "control queues of a new hub, 1 to 16"),
    Option("storageProvider.controlQueueBatchSize", "32", "messages received at once; storage gives 32 at most"),
    Option("storageProvider.controlQueueBufferThreshold", "256", "messages held at once, 1 to 1000"),
    Option("storageProvider.maxQueuePollingInterval", "00:00:30", "longest pause between polls of an idle queue"),
    Option("storageProvider.useTablePartitionManagement", "true", "false divides partitions through lease blobs"),
    Option("storageProvider.useLegacyPartitionManagement", "false", "true stops the start: it cannot be done safely"),
    Option("storageProvider.trackingStoreConnectionName", "none", "stops the start: histories live beside the queues"),
    Option("storageProvider.trackingStoreConnectionStringName", "none", "old name of trackingStoreConnectionName"),
    Option("storageProvider.trackingStoreNamePrefix", "none", "stops the start: tables are named after the hub"),
    Option("storageProvider.queueClientMessageEncoding", "UTF8", "Base64 stops the start: messages are plain text"),
    _without("storageProvider.controlQueueVisibilityTimeout", "00:05:00", _LEASE),
    _without("storageProvider.workItemQueueVisibilityTimeout", "00:05:00", _LEASE),
    _without("storageProvider.fetchLargeMessagesAutomatically", "true", "large payloads are always fetched"),
    _without("storageProvider.allowReplayingTerminalInstances", "false", "finished instances are never replayed"),
    _without("tracing.traceInputsAndOutputs", "false", "log lines never show inputs and outputs"),
    _without("tracing.traceReplayEvents", "false", _NO_TRACING),
    _without("tracing.allowVerboseLinuxTelemetry", "false", _NO_TRACING),
    _without("tracing.distributedTracingEnabled", "false", _NO_TRACING),
    _without("tracing.version", "V1", _NO_TRACING),
    _without("tracing.distributedTracingProtocol", "HttpCorrelationProtocol", _NO_TRACING),
    _without("notifications.eventGrid.topicEndpoint", "none", _NO_EVENT_GRID),
    _without("notifications.eventGrid.keySettingName", "none", _NO_EVENT_GRID),
    _without("notifications.eventGrid.publishRetryCount", "0", _NO_EVENT_GRID),
    _without("notifications.eventGrid.publishRetryInterval", "00:05:00", _NO_EVENT_GRID),
    _without("notifications.eventGrid.publishRetryHttpStatus", "none", _NO_EVENT_GRID),
    _without("notifications.eventGrid.publishEventTypes", "all", _NO_EVENT_GRID),
)
"""``extensions.durableTask`` (http-and-protocol 5)."""

HOST_JSON: tuple[Option, ...] = (
    Option("version", "2.0", "must be 2.0"),
    Option("functionTimeout", "00:30:00; 00:05:00 on Consumption", "time that a function may run; `-1` is no limit"),
    Option("logging.logLevel.default", "Information", "least severe log lines that are shown"),
    Option("extensions.http.routePrefix", "api", "first part of the routes of HTTP functions"),
    Option("extensions.queues.batchSize", "16", "messages received at once, 1 to 32"),
    Option("extensions.queues.newBatchThreshold", "half of batchSize", "receives again when only so many run"),
    Option("extensions.queues.maxDequeueCount", "5", "tries before a message goes to the poison queue"),
    Option("extensions.queues.maxPollingInterval", "00:00:02", "longest pause between polls"),
    Option("extensions.queues.visibilityTimeout", "00:00:00", "how long a failed message waits for its next try"),
    Option("extensions.queues.messageEncoding", "base64", "base64 or none"),
    Option("extensions.durableCore.management.enabled", "true", "real Functions host: serves the management API"),
    Option("extensions.durableCore.management.route", "durable", "real Functions host: its route"),
    Option("extensions.durableCore.management.authLevel", "function", "real Functions host: who may use it"),
    Option("extensions.durableCore.management.key", "none", "real Functions host: key in links; `%NAME%` allowed"),
    Option("extensions.durableCore.heartbeat.enabled", "where deployed", "real Functions host: a timer keeps it awake"),
    Option("extensions.durableCore.heartbeat.schedule", "0 * * * * *", "real Functions host: how often"),
    _without("extensionBundle", "none", "no extension is loaded; it may stay for the real Functions host"),
)
"""The rest of host.json; what is not listed is ignored, as the Functions host does."""

_BY_PATH = {known.path.lower(): known for known in DURABLE_TASK}


def remarks(durable: Mapping[str, Any]) -> list[str]:
    """One line for each option that is set and has no effect here, and for each that is not known.

    Args:
        durable: ``extensions.durableTask`` of host.json.
    """
    return [remark for path in _paths(durable) if (remark := _remark(durable, path)) is not None]


def _remark(durable: Mapping[str, Any], path: str) -> str | None:
    known = _BY_PATH.get(path.lower())
    where = f"host.json: extensions.durableTask.{path}"
    if known is None:
        return f"{where} is not known and has no effect."
    if known.is_honoured:
        return None
    value: Any = durable
    for name in path.split("."):
        value = option(value, name)
    text = str(value).lower() if isinstance(value, bool) else str(value)
    if value is None or text.lower() == known.default.lower():
        return None
    return f"{where} has no effect: {known.effect}."


def _paths(document: Mapping[str, Any], above: str = "") -> list[str]:
    found = []
    for name, value in document.items():
        path = f"{above}{name}"
        found += _paths(value, f"{path}.") if isinstance(value, dict) else [path]
    return found
