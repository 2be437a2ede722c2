"""Every table provider keeps the promises of ``base.TableStore``."""

from __future__ import annotations

import pytest

from durable_core.errors import AlreadyExistsError, InvalidRequestError, NotFoundError, PreconditionFailedError
from durable_core.storage.base import ANY, DateTime, Entity, Guid, Int64, Operation, TableStore, Verb
from tests.storage.conftest import Provider

WHEN = DateTime("2026-11-21T11:46:45.9520600Z")


async def new_table(provider: Provider) -> tuple[TableStore, str]:
    name = provider.name("T")
    assert await provider.account.tables.create(name)
    return provider.account.tables, name


def row(key: str = "r", partition: str = "p", **columns: object) -> Entity:
    return {"PartitionKey": partition, "RowKey": key, **columns}  # type: ignore[dict-item]


async def only(tables: TableStore, table: str, filter: str = "") -> dict[str, object]:
    (found,) = (await tables.query(table, filter)).rows
    return {name: value for name, value in found.values.items() if name != "Timestamp"}


async def test_create_and_drop_tell_whether_they_did_something(provider: Provider) -> None:
    tables, name = await new_table(provider)
    assert not await tables.create(name)
    assert name in await tables.names(name[:5])
    assert await tables.drop(name)
    assert not await tables.drop(name)


async def test_values_and_types_come_back_as_they_were(provider: Provider) -> None:
    tables, name = await new_table(provider)
    entity = row(
        text="käse 'quoted' 😀",
        empty="",
        number=-1,
        big=Int64(2**40),
        yes=True,
        no=False,
        real=1.5,
        when=WHEN,
        guid=Guid("00112233-4455-6677-8899-aabbccddeeff"),
        data=b"\x00\xff",
    )
    await tables.insert(name, entity)
    found = await only(tables, name)
    assert found == entity
    assert {key: type(value) for key, value in found.items()} == {key: type(value) for key, value in entity.items()}


async def test_none_is_no_column_and_a_merge_leaves_the_old_value(provider: Provider) -> None:
    tables, name = await new_table(provider)
    await tables.insert(name, row(a="1", b=None))
    assert await only(tables, name) == row(a="1")
    await tables.merge(name, row(a=None, b="2"))
    assert await only(tables, name) == row(a="1", b="2")
    await tables.replace(name, row(b="3"))
    assert await only(tables, name) == row(b="3")


async def test_insert_refuses_an_existing_row(provider: Provider) -> None:
    tables, name = await new_table(provider)
    await tables.insert(name, row())
    with pytest.raises(AlreadyExistsError) as caught:
        await tables.insert(name, row())
    assert caught.value.status == 409


async def test_merge_and_replace_without_etag_create_the_row(provider: Provider) -> None:
    tables, name = await new_table(provider)
    await tables.merge(name, row("m", a="1"))
    await tables.replace(name, row("n", a="2"))
    assert [found.values["a"] for found in (await tables.query(name)).rows] == ["1", "2"]


async def test_etags_guard_writes(provider: Provider) -> None:
    tables, name = await new_table(provider)
    old = await tables.insert(name, row(a="1"))
    (found,) = (await tables.query(name)).rows
    assert found.etag == old
    new = await tables.merge(name, row(a="2"), etag=old)
    assert new != old
    for write in (tables.merge, tables.replace):
        with pytest.raises(PreconditionFailedError) as caught:
            await write(name, row(a="3"), etag=old)
        assert caught.value.status == 412
        with pytest.raises(NotFoundError):
            await write(name, row("missing"), etag=ANY)
    await tables.replace(name, row(a="4"), etag=ANY)
    with pytest.raises(PreconditionFailedError):
        await tables.delete(name, "p", "r", etag=new)
    await tables.delete(name, "p", "r")
    with pytest.raises(NotFoundError):
        await tables.delete(name, "p", "r")


async def test_a_transaction_applies_everything_and_returns_the_etags(provider: Provider) -> None:
    tables, name = await new_table(provider)
    old = await tables.insert(name, row("d"))
    await tables.insert(name, row("m", a="1"))
    etags = await tables.transaction(
        name,
        [
            Operation(Verb.INSERT, row("i", when=WHEN)),
            Operation(Verb.REPLACE, row("r", n=7)),
            Operation(Verb.MERGE, row("m", b="2"), ANY),
            Operation(Verb.DELETE, row("d"), old),
        ],
    )
    assert etags[3] is None
    found = {str(item.values["RowKey"]): item for item in (await tables.query(name)).rows}
    assert sorted(found) == ["i", "m", "r"]
    assert [found["i"].etag, found["r"].etag, found["m"].etag] == list(etags[:3])
    assert (found["m"].values["a"], found["m"].values["b"], found["i"].values["when"]) == ("1", "2", WHEN)


@pytest.mark.parametrize("kind", ["conflict", "precondition"])
async def test_a_transaction_that_fails_changes_nothing_and_names_the_operation(provider: Provider, kind: str) -> None:
    tables, name = await new_table(provider)
    old = await tables.insert(name, row("there", a="1"))
    await tables.merge(name, row("there", a="2"))
    guilty = Operation(Verb.INSERT, row("there")) if kind == "conflict" else Operation(Verb.MERGE, row("there"), old)
    expected = AlreadyExistsError if kind == "conflict" else PreconditionFailedError
    with pytest.raises(expected) as caught:
        await tables.transaction(name, [Operation(Verb.REPLACE, row("new")), guilty])
    assert caught.value.index == 1
    assert await only(tables, name) == row("there", a="2")


async def test_limits_of_a_transaction(provider: Provider) -> None:
    tables, name = await new_table(provider)
    hundred = [Operation(Verb.REPLACE, row(f"{number:03}")) for number in range(100)]
    assert len(await tables.transaction(name, hundred)) == 100
    for wrong in (
        [*hundred, Operation(Verb.REPLACE, row("one more"))],
        [Operation(Verb.REPLACE, row("a")), Operation(Verb.REPLACE, row("a"))],
        [Operation(Verb.REPLACE, row("a")), Operation(Verb.REPLACE, row("a", "other"))],
    ):
        with pytest.raises(InvalidRequestError):
            await tables.transaction(name, wrong)


async def test_queries_filter_project_and_page_in_key_order(provider: Provider) -> None:
    tables, name = await new_table(provider)
    for partition in ("b", "a", "it's"):
        for key in ("2", "1", "sentinel"):
            await tables.insert(name, row(key, partition, n=len(key), t=f"{partition}{key}", when=WHEN))
    page = await tables.query(name, "PartitionKey eq 'a' and (RowKey eq 'sentinel' or n eq 1)")
    assert [item.values["t"] for item in page.rows] == ["a1", "a2", "asentinel"]
    page = await tables.query(name, "PartitionKey eq 'it''s' and RowKey ge '2'", select=["t", "RowKey"])
    assert [dict(item.values) for item in page.rows] == [
        {"t": "it's2", "RowKey": "2"},
        {"t": "it'ssentinel", "RowKey": "sentinel"},
    ]
    page = await tables.query(name, "when le datetime'2026-11-21T11:46:45.9520600Z' and not (n gt 1)", top=2)
    seen = [item.values["t"] for item in page.rows]
    while page.continuation is not None:
        page = await tables.query(
            name,
            "when le datetime'2026-11-21T11:46:45.9520600Z' and not (n gt 1)",
            top=2,
            continuation=page.continuation,
        )
        seen += [item.values["t"] for item in page.rows]
    assert seen == ["a1", "a2", "b1", "b2", "it's1", "it's2"]


@pytest.mark.parametrize("key", ["plain", "odd%id'é", "a^0b", "blank space", "plus+and&", "注文", "@counter@k"])
async def test_keys_of_all_kinds_are_written_and_found(provider: Provider, key: str) -> None:
    tables, name = await new_table(provider)
    etag = await tables.insert(name, row("", key, a="1"))
    etag = await tables.merge(name, row("", key, a="2"), etag=etag)
    await tables.transaction(name, [Operation(Verb.MERGE, row("", key, b="3"), etag)])
    quoted = key.replace("'", "''")
    assert await only(tables, name, f"PartitionKey eq '{quoted}'") == row("", key, a="2", b="3")
    await tables.delete(name, key, "")


async def test_a_missing_table_is_not_found(provider: Provider) -> None:
    name = provider.name("T")
    with pytest.raises(NotFoundError):
        await provider.account.tables.insert(name, row())
    with pytest.raises(NotFoundError):
        await provider.account.tables.query(name, "PartitionKey eq 'p'")


async def test_a_column_of_more_than_64_kib_is_refused(provider: Provider) -> None:
    tables, name = await new_table(provider)
    with pytest.raises(InvalidRequestError):
        await tables.insert(name, row(a="x" * (32 * 1024 + 1)))
