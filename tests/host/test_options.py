"""host.json options of workers (http-and-protocol 5.2, task-hub 9)."""

from __future__ import annotations

from typing import Any

import pytest

from durable_core.core.versioning import VersionFailure, VersionMatch
from durable_core.errors import ConfigurationError
from durable_core.host.options import DurableOptions, durable_options
from durable_core.taskhub.hub import PartitionManagement


def options(provider: dict[str, Any] | None = None, **durable: Any) -> DurableOptions:
    document = {"extensions": {"durableTask": {**durable, "storageProvider": provider or {}}}}
    return durable_options(document, {})


def test_partitions_are_divided_through_the_table_unless_blobs_are_asked_for() -> None:
    assert options().management is PartitionManagement.TABLE
    assert options({"useTablePartitionManagement": True}).management is PartitionManagement.TABLE
    assert options({"useTablePartitionManagement": False}).management is PartitionManagement.BLOB


@pytest.mark.parametrize(
    ("provider", "text"),
    [
        ({"useLegacyPartitionManagement": True, "useTablePartitionManagement": True}, "cannot both be true"),
        ({"useLegacyPartitionManagement": True, "useTablePartitionManagement": False}, "is not supported"),
        ({"useLegacyPartitionManagement": True}, "is not supported"),
    ],
)
def test_the_legacy_manager_is_refused(provider: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigurationError, match=text):
        options(provider)


def test_times_of_stopping_and_of_orchestrators() -> None:
    worker = options(gracefulShutdownTimeout="00:01:30", orchestratorTimeout="00:00:05").worker
    assert (worker.activity_grace, worker.episode_limit) == (90.0, 5.0)
    assert (options().worker.activity_grace, options().worker.episode_limit) == (30.0, 60.0)
    with pytest.raises(ConfigurationError, match="gracefulShutdownTimeout"):
        options(gracefulShutdownTimeout="soon")


def test_a_hub_name_may_refer_to_an_app_setting() -> None:
    """http-and-protocol 10, item 91."""
    document = {"extensions": {"durableTask": {"hubName": "%HUB%"}}}
    assert durable_options(document, {"HUB": "FromSetting"}).names.hub == "FromSetting"
    with pytest.raises(ConfigurationError, match="HUB"):
        durable_options(document, {})


def test_versions_are_those_of_extension_3() -> None:
    """Behaviour 97: the worker's version is ``defaultVersion``; without one, an instance with a version is newer."""
    found = options(defaultVersion="1.5")
    assert found.default_version == found.worker.default_version == "1.5"
    assert [found.worker.versioning.accepts(version) for version in (None, "1.0", "1.5", "1.10")] == [
        True,
        True,
        True,
        False,
    ]
    assert [options().worker.versioning.accepts(version) for version in (None, "", "0.1")] == [True, True, False]
    strict = options(defaultVersion="1.5", versionMatchStrategy="strict", versionFailureStrategy="Fail").worker
    assert (strict.versioning.match, strict.versioning.failure) == (VersionMatch.STRICT, VersionFailure.FAIL)
    assert options(versionMatchStrategy="None").worker.versioning.accepts("99")


@pytest.mark.parametrize("name", ["versionMatchStrategy", "versionFailureStrategy"])
def test_a_strategy_that_does_not_exist_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{name} must be .*, not 'Newest'"):
        options(None, **{name: "Newest"})
