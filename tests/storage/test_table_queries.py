"""Every table provider answers queries as ``base.TableStore`` promises."""

from __future__ import annotations

from typing import Any

import pytest

from durable_core.errors import InvalidRequestError
from durable_core.storage.base import Guid, Int64, Operation, Row, TableStore, Verb
from tests.storage.conftest import Provider
from tests.storage.tables import WHEN, new_table, row


async def all_pages(tables: TableStore, table: str, filter: str = "", **options: Any) -> list[Row]:
    page = await tables.query(table, filter, **options)
    rows = list(page.rows)
    while page.continuation is not None:
        page = await tables.query(table, filter, continuation=page.continuation, **options)
        rows += page.rows
    return rows


def keys(rows: list[Row]) -> list[str]:
    return [f"{found.values['PartitionKey']!s}.{found.values['RowKey']!s}" for found in rows]


async def filled(provider: Provider) -> tuple[TableStore, str]:
    tables, name = await new_table(provider)
    for partition in ("b", "a", "it's"):
        for key in ("2", "1", "sentinel"):
            await tables.insert(name, row(key, partition, n=len(key), t=f"{partition}{key}", when=WHEN))
    return tables, name


async def test_rows_come_by_partition_key_then_row_key(provider: Provider) -> None:
    tables, name = await filled(provider)
    partitions = ("a", "b", "it's")
    assert keys(await all_pages(tables, name)) == [
        f"{one}.{key}" for one in partitions for key in ("1", "2", "sentinel")
    ]


async def test_keys_sort_by_utf_16_code_units(provider: Provider) -> None:
    tables, name = await new_table(provider)
    ordered = ["", "10", "9", "A", "B", "_", "a", "b", "z", "é", "注", "😀", "\uffee"]
    for key in reversed(ordered):
        await tables.insert(name, row(key, f"k{key}"))
        await tables.insert(name, row(key))
    found = await all_pages(tables, name)
    assert [item.values["RowKey"] for item in found if item.values["PartitionKey"] == "p"] == ordered
    assert [item.values["PartitionKey"] for item in found if item.values["PartitionKey"] != "p"] == [
        f"k{key}" for key in ordered
    ]


async def test_the_history_query_of_the_field(provider: Provider) -> None:
    """task-hub 4.7."""
    tables, name = await filled(provider)
    page = await tables.query(name, "PartitionKey eq 'a' and (RowKey eq 'sentinel' or t eq 'a2')")
    assert keys(list(page.rows)) == ["a.2", "a.sentinel"]


async def test_quotes_are_doubled_in_literals(provider: Provider) -> None:
    tables, name = await filled(provider)
    page = await tables.query(name, "PartitionKey eq 'it''s' and RowKey ge '2'")
    assert keys(list(page.rows)) == ["it's.2", "it's.sentinel"]


async def test_select_returns_the_columns_named_and_always_the_etag(provider: Provider) -> None:
    tables, name = await filled(provider)
    page = await tables.query(name, "PartitionKey eq 'a'", select=["t", "RowKey", "absent"])
    assert [dict(item.values) for item in page.rows] == [
        {"t": "a1", "RowKey": "1"},
        {"t": "a2", "RowKey": "2"},
        {"t": "asentinel", "RowKey": "sentinel"},
    ]
    whole = await tables.query(name, "PartitionKey eq 'a'")
    assert [item.etag for item in page.rows] == [item.etag for item in whole.rows]


@pytest.mark.parametrize("top", [1, 2, 4, 5])
async def test_pages_of_any_size_bring_every_row_once(provider: Provider, top: int) -> None:
    tables, name = await filled(provider)
    page = await tables.query(name, top=top)
    assert len(page.rows) == top
    assert page.continuation is not None
    assert keys(await all_pages(tables, name, top=top)) == keys(await all_pages(tables, name))
    filter = "when le datetime'2026-11-21T11:46:45.9520600Z' and not (n gt 1)"
    assert keys(await all_pages(tables, name, filter, top=top)) == [
        f"{one}.{key}" for one in ("a", "b", "it's") for key in "12"
    ]


async def test_the_last_page_has_no_continuation(provider: Provider) -> None:
    tables, name = await filled(provider)
    page = await tables.query(name, "PartitionKey eq 'a'", top=32)
    assert (len(page.rows), page.continuation) == (3, None)
    page = await tables.query(name, "PartitionKey eq 'nobody'")
    assert (list(page.rows), page.continuation) == ([], None)


async def test_a_continuation_goes_on_where_the_page_ended_whatever_happened_meanwhile(provider: Provider) -> None:
    tables, name = await filled(provider)
    page = await tables.query(name, "PartitionKey eq 'a'", top=1)
    await tables.insert(name, row("0", "a"))
    await tables.delete(name, "a", "2")
    following = await tables.query(name, "PartitionKey eq 'a'", top=1, continuation=page.continuation)
    assert (keys(list(page.rows)), keys(list(following.rows))) == (["a.1"], ["a.sentinel"])


async def test_a_page_has_at_most_1000_rows(provider: Provider) -> None:
    tables, name = await new_table(provider)
    for start in range(0, 1100, 100):
        await tables.transaction(
            name, [Operation(Verb.REPLACE, row(f"{number:04}")) for number in range(start, start + 100)]
        )
    page = await tables.query(name, "PartitionKey eq 'p'")
    assert len(page.rows) == 1000
    following = await tables.query(name, "PartitionKey eq 'p'", continuation=page.continuation)
    assert keys([*page.rows, *following.rows]) == [f"p.{number:04}" for number in range(1100)]


FILTERS = {
    "": "1 2 3",
    "s eq 'abc'": "1",
    "s ne 'abc'": "3",
    "s gt ''": "1 3",
    "s ge 'abc' and s lt 'abd'": "1",
    "s eq 'it''s'": "3",
    "not (s eq 'abc')": "2 3",
    "not (s ne 'abc')": "1 2",
    "not s eq 'abc'": "2 3",
    "absent eq 'x'": "",
    "absent ne 'x'": "",
    "not (absent eq 'x')": "1 2 3",
    "i eq 5": "1",
    "i ge -5 and i lt 6": "1",
    "l eq 9000000000L": "1",
    "l gt 5L": "1",
    "f eq 1.5": "1",
    "f gt 1": "1",
    "b eq true": "1",
    "b eq false": "3",
    "d eq datetime'2026-11-21T11:46:45.95206Z'": "1",
    "d ge datetime'2026-11-21T11:46:45.9520600Z'": "1",
    "d lt datetime'2026-11-21T11:46:45.9530000Z'": "1",
    "d gt datetime'2026-11-21T11:46:45.9520600Z'": "",
    "g eq guid'00112233-4455-6677-8899-aabbccddeeff'": "1",
    "Timestamp gt datetime'2020-01-01T00:00:00Z'": "1 2 3",
    "PartitionKey eq 'p' and RowKey gt '1'": "2 3",
    "PartitionKey eq 'p' and RowKey eq '2'": "2",
    "PartitionKey eq 'p' and PartitionKey eq 'q'": "",
    "PartitionKey eq 'p' or PartitionKey eq 'q'": "1 2 3",
    "not (PartitionKey eq 'q')": "1 2 3",
    "RowKey eq '1' or RowKey eq '3'": "1 3",
    "s eq 'abc' or i eq 5 and b eq false": "1",
    "(s eq 'abc' or i eq 5) and b eq false": "",
    "  s   eq   'abc'  ": "1",
}


async def test_filters_choose_rows(provider: Provider) -> None:
    """``and`` binds tighter than ``or``; an absent property passes no comparison."""
    tables, name = await new_table(provider)
    guid = Guid("00112233-4455-6677-8899-aabbccddeeff")
    await tables.insert(name, row("1", s="abc", i=5, l=Int64(9_000_000_000), b=True, f=1.5, d=WHEN, g=guid))
    await tables.insert(name, row("2"))
    await tables.insert(name, row("3", s="it's", b=False))
    chosen = {
        filter: " ".join(str(item.values["RowKey"]) for item in await all_pages(tables, name, filter))
        for filter in FILTERS
    }
    assert chosen == FILTERS


@pytest.mark.parametrize("filter", ["s eq", "i eq 5 and", "(s eq 'a'", "s eq 'a')", "eq", "s 'a'"])
async def test_a_filter_that_is_none_is_refused(provider: Provider, filter: str) -> None:
    tables, name = await new_table(provider)
    await tables.insert(name, row())
    with pytest.raises(InvalidRequestError):
        await tables.query(name, filter)
