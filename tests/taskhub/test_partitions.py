"""Rows of the Partitions table, and who may work on a hub that is divided differently (task-hub 7.4)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from durable_core.core.ticks import PER_SECOND, parse
from durable_core.errors import ConfigurationError, UndecodableMessageError
from durable_core.storage.base import DateTime, Row
from durable_core.taskhub.partitions import PartitionRow, check_partitions, new_row, read_partition
from tests.golden_data import documents, lines

NOW = parse("2026-11-21T12:00:00.1234567Z")
OWNED = PartitionRow("p", "me", None, NOW, NOW, NOW + 30 * PER_SECOND, False, "E1")


@pytest.mark.parametrize("folder", ["dtfx", "python-stack"])
def test_captured_rows_are_read_and_written_back_unchanged(folder: str) -> None:
    for document in documents(f"{folder}/partitions.json"):
        stored = {name: column["value"] for name, column in document.items() if name != "Timestamp"}
        written = read_partition(Row(stored, "E")).entity()
        assert {name: value for name, value in written.items() if value is not None} == stored
        for name, column in document.items():
            if name in written and column["type"] == "Edm.DateTime":
                assert isinstance(written[name], DateTime)


def test_a_new_row_is_the_captured_one() -> None:
    inserts = [
        entry["body"] for entry in lines("dtfx-handover/partition_writes.jsonl") if entry["verb"] == "table.insert"
    ]
    assert list(new_row("twohub-control-01").items()) == list(inserts[0].items())


def test_primitive_changes() -> None:
    later = NOW + 5 * PER_SECOND
    assert PartitionRow("p", None, "x", is_draining=True, etag="E1").claimed("me", NOW) == OWNED
    assert OWNED.renewed(later) == replace(OWNED, last_renewal=later, expires_at=later + 30 * PER_SECOND)
    assert OWNED.stolen("you") == replace(OWNED, next_owner="you")
    assert OWNED.stolen("you").withdrawn() == OWNED
    assert OWNED.drained().is_draining
    released = OWNED.stolen("you").drained().released()
    assert released == replace(OWNED, current_owner=None, next_owner="you", is_draining=False)


def test_a_lease_ends_at_its_very_tick() -> None:
    assert OWNED.expires_at is not None
    assert not OWNED.is_expired(OWNED.expires_at - 1)
    assert OWNED.is_expired(OWNED.expires_at)
    assert not PartitionRow("p").is_expired(NOW)


def test_an_unreadable_row_is_named() -> None:
    with pytest.raises(UndecodableMessageError, match="'hub-control-03'"):
        read_partition(Row({"PartitionKey": "", "RowKey": "hub-control-03", "ExpiresAt": "soon"}, "E"))


def rows(*owned_since: int | None) -> list[PartitionRow]:
    return [PartitionRow(f"p{index}", owned_since=since) for index, since in enumerate(owned_since)]


@pytest.mark.parametrize(("present", "configured"), [(4, 2), (2, 4)])
def test_another_partition_count_is_refused_with_both_counts_and_the_setting(present: int, configured: int) -> None:
    partitions = [f"p{index}" for index in range(configured)]
    with pytest.raises(ConfigurationError) as caught:
        check_partitions("MyHub", rows(*[NOW] * present), partitions, creating=True)
    for part in (
        "MyHub",
        f"has {present} partitions",
        f"configured for {configured}",
        "storageProvider.partitionCount",
    ):
        assert part in str(caught.value)


def test_a_creation_that_was_cut_short_may_be_finished() -> None:
    partitions = ["p0", "p1", "p2", "p3"]
    check_partitions("MyHub", rows(), partitions, creating=True)
    check_partitions("MyHub", rows(None, None), partitions, creating=True)
    with pytest.raises(ConfigurationError):
        check_partitions("MyHub", rows(None, None), partitions)
    with pytest.raises(ConfigurationError):
        check_partitions("MyHub", rows(None, NOW), partitions, creating=True)
    check_partitions("MyHub", rows(NOW, NOW, None, None), partitions)
