"""``extensions.durableTask`` of host.json, as settings of hub and worker (http-and-protocol 5)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from durable_core.core.entity_rules import EntityRules
from durable_core.core.history import LIVE, OrchestrationStatus
from durable_core.core.ticks import PER_SECOND
from durable_core.errors import ConfigurationError
from durable_core.host.settings import option, section
from durable_core.taskhub.hub import PartitionManagement
from durable_core.taskhub.names import HubNames, default_hub_name
from durable_core.worker.settings import WorkerSettings

_REFERENCE = re.compile(r"%([^%]+)%")
_TIME_SPAN = re.compile(r"(?:(\d+)\.)?(\d+):(\d+)(?::(\d+(?:\.\d+)?))?")


@dataclass(frozen=True, slots=True)
class DurableOptions:
    """Everything that the durable runtime reads from host.json.

    Attributes:
        connection: name of the storage connection setting.
        replaceable: statuses whose instance a new start may replace.
    """

    names: HubNames
    worker: WorkerSettings
    connection: str
    use_app_lease: bool
    replaceable: frozenset[OrchestrationStatus]
    default_version: str
    management: PartitionManagement = PartitionManagement.TABLE


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
    names = HubNames(_hub_name(option(durable, "hubName"), environ), _integer(provider, "partitionCount", 4, 1, 16))
    defaults = WorkerSettings()
    worker = WorkerSettings(
        max_concurrent_activities=_integer(
            durable, "maxConcurrentActivityFunctions", defaults.max_concurrent_activities, 1
        ),
        max_concurrent_orchestrators=_integer(
            durable, "maxConcurrentOrchestratorFunctions", defaults.max_concurrent_orchestrators, 1
        ),
        max_concurrent_entities=_integer(durable, "maxConcurrentEntityFunctions", defaults.max_concurrent_entities, 1),
        entities=EntityRules(
            reorder_window=_integer(durable, "entityMessageReorderWindowInMinutes", 30, 0) * 60 * PER_SECOND,
            batch_limit=_integer(durable, "maxEntityOperationBatchSize", defaults.entities.batch_limit, 1),
            rolls_back=_boolean(durable, "rollbackEntityOperationsOnExceptions", True),
        ),
        control_queue_batch_size=min(_integer(provider, "controlQueueBatchSize", 32, 1), 32),
        control_queue_buffer=_integer(provider, "controlQueueBufferThreshold", 256, 1, 1000),
        max_polling_interval=_seconds(provider, "maxQueuePollingInterval", 30.0),
        store_inputs=_boolean(durable, "storeInputsInOrchestrationHistory", False),
        activity_grace=_seconds(durable, "gracefulShutdownTimeout", defaults.activity_grace),
        episode_limit=_seconds(durable, "orchestratorTimeout", defaults.episode_limit),
    )
    overridable = str(option(durable, "overridableExistingInstanceStates") or "NonRunningStates")
    if overridable.lower() not in ("nonrunningstates", "anystate"):
        raise ConfigurationError(
            "host.json: extensions.durableTask.overridableExistingInstanceStates must be NonRunningStates or "
            "AnyState, not "
            f"{overridable!r}."
        )
    any_state = overridable.lower() == "anystate"
    return DurableOptions(
        names,
        worker,
        str(option(provider, "connectionName") or option(provider, "connectionStringName") or "Storage"),
        _boolean(durable, "useAppLease", True),
        frozenset(OrchestrationStatus) if any_state else frozenset(OrchestrationStatus) - LIVE,
        str(option(durable, "defaultVersion") or ""),
        _management(provider),
    )


def _management(provider: Mapping[str, Any]) -> PartitionManagement:
    table = _boolean(provider, "useTablePartitionManagement", True)
    if _boolean(provider, "useLegacyPartitionManagement", False):
        where = "host.json: extensions.durableTask.storageProvider.useLegacyPartitionManagement"
        if table and option(provider, "useTablePartitionManagement") is not None:
            raise ConfigurationError(f"{where} and useTablePartitionManagement cannot both be true.")
        raise ConfigurationError(
            f"{where}: the legacy partition manager, which lets two workers read one queue during a hand-over, is not "
            "supported. Remove the setting, and set useTablePartitionManagement to false if older workers share the "
            "task hub."
        )
    return PartitionManagement.TABLE if table else PartitionManagement.BLOB


def _hub_name(configured: Any, environ: Mapping[str, str]) -> str:
    if not configured:
        return default_hub_name(environ)
    reference = _REFERENCE.fullmatch(str(configured))
    if reference is None:
        return str(configured)
    value = environ.get(reference[1])
    if not value:
        raise ConfigurationError(
            f"host.json: extensions.durableTask.hubName refers to the app setting {reference[1]}, which is not set."
        )
    return value


def _integer(document: Mapping[str, Any], name: str, default: int, least: int, most: int | None = None) -> int:
    value = option(document, name)
    if value is None:
        return default
    label = name[0].upper() + name[1:]
    try:
        number = int(value)
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"host.json: {label} must be an integer, not {value!r}.") from error
    if number < least or (most is not None and number > most):
        wanted = f"between {least} and {most}" if most is not None else "a positive integer value"
        raise ConfigurationError(f"host.json: {label} must be {wanted}, but it is {number}.")
    return number


def _boolean(document: Mapping[str, Any], name: str, default: bool) -> bool:
    value = option(document, name)
    if value is None:
        return default
    if isinstance(value, bool):
        return value
    if str(value).lower() in ("true", "false"):
        return str(value).lower() == "true"
    raise ConfigurationError(f"host.json: {name} must be true or false, not {value!r}.")


def _seconds(document: Mapping[str, Any], name: str, default: float) -> float:
    value = option(document, name)
    if value is None:
        return default
    seconds = parse_time_span(str(value))
    if seconds is None or seconds <= 0:
        raise ConfigurationError(f"host.json: {name} must be a positive time span like 00:00:30, not {value!r}.")
    return seconds


def parse_time_span(text: str) -> float | None:
    """Seconds of a .NET TimeSpan text such as ``00:05:00`` or ``1.12:00:00``; None if it is none."""
    found = _TIME_SPAN.fullmatch(text.strip())
    if found is None:
        return None
    days, hours, minutes, seconds = found.groups()
    return ((int(days or 0) * 24 + int(hours)) * 60 + int(minutes)) * 60 + float(seconds or 0)
