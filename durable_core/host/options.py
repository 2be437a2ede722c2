"""``extensions.durableTask`` of host.json, as settings of hub and worker (http-and-protocol 5)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from durable_core.core.entity_rules import EntityRules
from durable_core.core.history import LIVE, OrchestrationStatus
from durable_core.core.ticks import PER_SECOND
from durable_core.core.versioning import VersionFailure, Versioning, VersionMatch
from durable_core.errors import ConfigurationError
from durable_core.host.option_table import remarks
from durable_core.host.settings import connection_name, option, section
from durable_core.host.values import boolean, choice, integer, seconds, text
from durable_core.taskhub.hub import PartitionManagement
from durable_core.taskhub.names import HubNames, default_hub_name
from durable_core.worker.settings import WorkerSettings

_REPLACEABLE = {
    "NonRunningStates": frozenset(OrchestrationStatus) - LIVE,
    "AnyState": frozenset(OrchestrationStatus),
}


@dataclass(frozen=True, slots=True)
class DurableOptions:
    """Everything that the durable runtime reads from host.json.

    Attributes:
        connection: name of the storage connection setting.
        replaceable: statuses whose instance a new start may replace.
        use_forwarded_host: a proxy stands before the host and tells which address it was asked for.
        http_pause: seconds between polls of ``call_http`` when the answer names none.
        remarks: lines about options without effect, for the log.
    """

    names: HubNames
    worker: WorkerSettings
    connection: str
    use_app_lease: bool
    replaceable: frozenset[OrchestrationStatus]
    default_version: str
    management: PartitionManagement = PartitionManagement.TABLE
    use_forwarded_host: bool = False
    http_pause: float = 30.0
    remarks: tuple[str, ...] = ()


def durable_options(host: Mapping[str, Any], environ: Mapping[str, str]) -> DurableOptions:
    """Read and check the options.

    Raises:
        ConfigurationError: one of them cannot be used; the text names it.
    """
    durable = section(host, "extensions", "durableTask")
    provider = section(durable, "storageProvider")
    kind = option(provider, "type")
    if kind is not None and str(kind).lower() != "azurestorage":
        raise ConfigurationError(
            f"Storage provider type ({kind}) was not found. Available storage providers: AzureStorage. "
            "(extensions.durableTask.storageProvider.type in host.json)"
        )
    _refuse_what_would_go_wrong(provider)
    names = HubNames(_hub_name(durable, environ), integer(provider, "partitionCount", 4, 1, 16))
    defaults = WorkerSettings()
    default_version = str(option(durable, "defaultVersion") or "")
    worker = WorkerSettings(
        max_concurrent_activities=integer(
            durable, "maxConcurrentActivityFunctions", defaults.max_concurrent_activities, 1
        ),
        max_concurrent_orchestrators=integer(
            durable, "maxConcurrentOrchestratorFunctions", defaults.max_concurrent_orchestrators, 1
        ),
        max_concurrent_entities=integer(durable, "maxConcurrentEntityFunctions", defaults.max_concurrent_entities, 1),
        entities=EntityRules(
            reorder_window=integer(durable, "entityMessageReorderWindowInMinutes", 30, 0) * 60 * PER_SECOND,
            batch_limit=integer(durable, "maxEntityOperationBatchSize", defaults.entities.batch_limit, 1),
            rolls_back=boolean(durable, "rollbackEntityOperationsOnExceptions", True),
        ),
        control_queue_batch_size=min(integer(provider, "controlQueueBatchSize", 32, 1), 32),
        control_queue_buffer=integer(provider, "controlQueueBufferThreshold", 256, 1, 1000),
        max_polling_interval=seconds(provider, "maxQueuePollingInterval", 30.0),
        activity_limit=function_timeout(host, environ),
        store_inputs=boolean(durable, "storeInputsInOrchestrationHistory", False),
        activity_grace=seconds(durable, "gracefulShutdownTimeout", defaults.activity_grace),
        session_idle=float(integer(durable, "extendedSessionIdleTimeoutInSeconds", int(defaults.session_idle), 1)),
        default_version=default_version,
        versioning=Versioning(
            default_version,
            choice(durable, "versionMatchStrategy", {item.value: item for item in VersionMatch}, "CurrentOrOlder"),
            choice(durable, "versionFailureStrategy", {item.value: item for item in VersionFailure}, "Reject"),
        ),
        episode_limit=seconds(durable, "orchestratorTimeout", defaults.episode_limit),
        unknown_function_patience=seconds(
            durable, "unknownFunctionTimeout", defaults.unknown_function_patience, least=0
        ),
        session_cache_size=integer(durable, "sessionCacheSize", defaults.session_cache_size, 1),
        force_replay=boolean(durable, "forceReplay", False),
    )
    replaceable = choice(durable, "overridableExistingInstanceStates", _REPLACEABLE, "NonRunningStates")
    http = section(durable, "httpSettings")
    return DurableOptions(
        names,
        worker,
        connection_name(host),
        boolean(durable, "useAppLease", True),
        replaceable,
        default_version,
        _management(provider),
        boolean(http, "useForwardedHost", False),
        integer(http, "defaultAsyncRequestSleepTimeMilliseconds", 30000, 1) / 1000,
        tuple(remarks(durable)),
    )


def _refuse_what_would_go_wrong(provider: Mapping[str, Any]) -> None:
    """Settings under which other workers of the hub would read and write elsewhere."""
    where = "host.json: extensions.durableTask.storageProvider."
    for name in ("trackingStoreConnectionName", "trackingStoreConnectionStringName", "trackingStoreNamePrefix"):
        if option(provider, name):
            raise ConfigurationError(
                f"{where}{name} is not supported: history and instances are kept beside the queues, under the hub's "
                "name. Instances that are kept elsewhere would not be found."
            )
    encoding = str(option(provider, "queueClientMessageEncoding") or "UTF8")
    if encoding.lower() != "utf8":
        raise ConfigurationError(
            f"{where}queueClientMessageEncoding must be UTF8, not {encoding!r}: messages are written as plain text."
        )


def function_timeout(host: Mapping[str, Any], environ: Mapping[str, str]) -> float | None:
    """Seconds that a function, activities included, may run; None for no limit (functions-host 5).

    Without the setting 5 minutes on the Consumption plan and 30 minutes elsewhere, as in the Functions host.

    Raises:
        ConfigurationError: it is no time span.
    """
    value = option(host, "functionTimeout")
    if value is None:
        return 300.0 if environ.get("WEBSITE_SKU", "").lower() == "dynamic" else 1800.0
    if str(value).strip() in ("-1", "-00:00:00.0010000"):
        return None
    return seconds(host, "functionTimeout", 0.0)


def _management(provider: Mapping[str, Any]) -> PartitionManagement:
    table = boolean(provider, "useTablePartitionManagement", True)
    if boolean(provider, "useLegacyPartitionManagement", False):
        where = "host.json: extensions.durableTask.storageProvider.useLegacyPartitionManagement"
        if table and option(provider, "useTablePartitionManagement") is not None:
            raise ConfigurationError(f"{where} and useTablePartitionManagement cannot both be true.")
        raise ConfigurationError(
            f"{where}: the legacy partition manager, which lets two workers read one queue during a hand-over, is not "
            "supported. Remove the setting, and set useTablePartitionManagement to false if older workers share the "
            "task hub."
        )
    return PartitionManagement.TABLE if table else PartitionManagement.BLOB


def _hub_name(durable: Mapping[str, Any], environ: Mapping[str, str]) -> str:
    return text(durable, "hubName", environ, where="extensions.durableTask.") or default_hub_name(environ)
