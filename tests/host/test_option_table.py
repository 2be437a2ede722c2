"""docs/settings.md, its tables in the code, and what options really do (http-and-protocol 5)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from durable_core.errors import ConfigurationError
from durable_core.host.option_table import DURABLE_TASK, HOST_JSON, Option, remarks
from durable_core.host.options import DurableOptions, durable_options
from durable_core.host.settings import read_host_json, section

DOCS = Path(__file__).parents[2] / "docs"

EFFECTS = {
    "hubName": "%HUB%",
    "maxConcurrentActivityFunctions": "7",
    "maxConcurrentOrchestratorFunctions": "7",
    "maxConcurrentEntityFunctions": "7",
    "maxEntityOperationBatchSize": "7",
    "entityMessageReorderWindowInMinutes": "7",
    "rollbackEntityOperationsOnExceptions": "false",
    "overridableExistingInstanceStates": "AnyState",
    "useAppLease": "false",
    "storeInputsInOrchestrationHistory": "true",
    "defaultVersion": "1.2",
    "versionMatchStrategy": "strict",
    "versionFailureStrategy": "fail",
    "extendedSessionIdleTimeoutInSeconds": "7",
    "httpSettings.defaultAsyncRequestSleepTimeMilliseconds": "7",
    "httpSettings.useForwardedHost": "true",
    "gracefulShutdownTimeout": "00:00:07",
    "orchestratorTimeout": "00:00:07",
    "unknownFunctionTimeout": "00:00:07",
    "sessionCacheSize": "7",
    "forceReplay": "true",
    "storageProvider.connectionName": "Mine",
    "storageProvider.connectionStringName": "Mine",
    "storageProvider.partitionCount": "7",
    "storageProvider.controlQueueBatchSize": "7",
    "storageProvider.controlQueueBufferThreshold": "7",
    "storageProvider.maxQueuePollingInterval": "00:00:07",
    "storageProvider.useTablePartitionManagement": "false",
}
REFUSED = {
    "storageProvider.type": ("mssql", r"Storage provider type \(mssql\) was not found"),
    "storageProvider.useLegacyPartitionManagement": ("true", "useLegacyPartitionManagement"),
    "storageProvider.trackingStoreConnectionName": ("Other", "trackingStoreConnectionName"),
    "storageProvider.trackingStoreConnectionStringName": ("Other", "trackingStoreConnectionStringName"),
    "storageProvider.trackingStoreNamePrefix": ("Other", "trackingStoreNamePrefix"),
    "storageProvider.queueClientMessageEncoding": ("Base64", "queueClientMessageEncoding"),
}


def tables() -> list[list[tuple[str, str, str]]]:
    """The option tables of the page."""
    found: list[list[tuple[str, str, str]]] = []
    for part in (DOCS / "settings.md").read_text(encoding="utf-8").split("\n\n"):
        if part.startswith("| Option | Default | Effect |"):
            rows = [re.fullmatch(r"\| `(.+?)` \| (.+?) \| (.+) \|", line) for line in part.strip().splitlines()[2:]]
            found.append([(row[1], row[2], row[3]) for row in rows if row is not None])
            assert all(rows), part
    return found


def shown(options: tuple[Option, ...]) -> list[tuple[str, str, str]]:
    return [
        (known.path, known.default, known.effect if known.is_honoured else f"none: {known.effect}") for known in options
    ]


def test_the_page_shows_the_tables_of_the_code() -> None:
    assert tables() == [shown(DURABLE_TASK), shown(HOST_JSON)]


def test_every_option_of_the_extension_stands_in_the_table() -> None:
    text = (DOCS / "spec" / "http-and-protocol.md").read_text(encoding="utf-8")
    known = {found.path for found in DURABLE_TASK}
    above = {"5.1": "", "5.2": "storageProvider.", "5.3": "tracing.", "5.4": "notifications.eventGrid."}
    checked = 0
    for number, prefix in above.items():
        start = text.index(f"### {number} ")
        part = text[start : text.index("\n### ", start + 1)]
        for cell in re.findall(r"^\| (`[^|]+) \|", part, re.MULTILINE):
            names = re.findall(r"`([^`]+)`", cell)
            for name in names:
                full = f"{names[0].rpartition('.')[0]}{name}" if name.startswith(".") else name
                path = full.removeprefix(prefix)
                if path not in ("storageProvider", "tracing", "notifications"):
                    assert f"{prefix}{path}" in known, path
                    checked += 1
    assert checked > 40


def read(path: str, value: str, folder: Path) -> DurableOptions:
    """The options when one of them is set in the environment."""
    name = f"AzureFunctionsJobHost__extensions__durableTask__{path.replace('.', '__')}"
    environ = {name: value, "HUB": "FromSetting"}
    return durable_options(read_host_json(folder, environ), environ)


@pytest.mark.parametrize("path", [known.path for known in DURABLE_TASK if known.is_honoured])
def test_an_option_set_in_the_environment_does_what_the_table_says(path: str, tmp_path: Path) -> None:
    if path in REFUSED:
        value, text = REFUSED[path]
        with pytest.raises(ConfigurationError, match=text):
            read(path, value, tmp_path)
        return
    assert read(path, EFFECTS[path], tmp_path) != durable_options({}, {})


def test_percent_names_stand_for_app_settings(tmp_path: Path) -> None:
    assert read("hubName", "%hub%", tmp_path).names.hub == "FromSetting"
    with pytest.raises(ConfigurationError, match="app setting NO"):
        read("hubName", "%NO%", tmp_path)


@pytest.mark.parametrize("option", [known for known in DURABLE_TASK if not known.is_honoured], ids=lambda o: o.path)
def test_an_option_without_effect_is_told_in_one_line_with_its_reason(option: Option, tmp_path: Path) -> None:
    def lines(value: str) -> list[str]:
        name = f"AzureFunctionsJobHost__extensions__durableTask__{option.path.replace('.', '__')}"
        return remarks(section(read_host_json(tmp_path, {name: value}), "extensions", "durableTask"))

    (line,) = lines("something else")
    assert line == f"host.json: extensions.durableTask.{option.path} has no effect: {option.effect}."
    assert lines(option.default) == []


def test_an_option_that_is_not_known_is_told() -> None:
    document: dict[str, Any] = {"storageProvider": {"PartitionCount": 4, "partitions": 4}, "hubname": "x"}
    assert remarks(document) == [
        "host.json: extensions.durableTask.storageProvider.partitions is not known and has no effect."
    ]
