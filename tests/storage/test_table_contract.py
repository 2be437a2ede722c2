"""Every table provider keeps the promises of ``base.TableStore`` about rows; queries are in test_table_queries."""

from __future__ import annotations

import re

import pytest

from durable_core.core import ticks
from durable_core.errors import AlreadyExistsError, InvalidRequestError, NotFoundError, PreconditionFailedError
from durable_core.storage.base import ANY, DateTime, Guid, Int64, Operation, Verb
from tests.storage.conftest import Provider
from tests.storage.tables import WHEN, new_table, only, row

ETAG = re.compile(r"W/\"datetime'\d{4}-\d\d-\d\dT\d\d%3A\d\d%3A\d\d\.\d{7}Z'\"")
SECOND_ROW = {"PartitionKey": "p", "RowKey": "r2"}


async def test_create_and_drop_tell_whether_they_did_something(provider: Provider) -> None:
    tables, name = await new_table(provider)
    assert not await tables.create(name)
    assert await tables.drop(name)
    assert not await tables.drop(name)


async def test_a_table_name_is_the_same_in_any_case_and_keeps_its_own(provider: Provider) -> None:
    """task-hub 1.1: table names keep the casing of the hub name."""
    tables, name = await new_table(provider)
    assert not await tables.create(name.upper())
    assert list(await tables.names(name)) == [name]


async def test_names_are_those_with_the_prefix_sorted(provider: Provider) -> None:
    prefix = provider.name("T")
    for suffix in ("Partitions", "History", "Instances"):
        await provider.account.tables.create(prefix + suffix)
    found = await provider.account.tables.names(prefix)
    assert list(found) == [f"{prefix}History", f"{prefix}Instances", f"{prefix}Partitions"]
    assert list(await provider.account.tables.names(f"{prefix}H")) == [f"{prefix}History"]


@pytest.mark.parametrize("name", ["ab", "x" * 64, "1digit", "under_score", "das-h", "tables"])
async def test_names_that_no_table_can_have_are_refused(provider: Provider, name: str) -> None:
    with pytest.raises(InvalidRequestError):
        await provider.account.tables.create(name)


async def test_values_and_types_come_back_as_they_were(provider: Provider) -> None:
    tables, name = await new_table(provider)
    entity = row(
        text="käse 'quoted' 😀\r\n\ttab",
        empty="",
        number=-1,
        smallest=-(2**31),
        big=Int64(2**40),
        biggest=Int64(2**63 - 1),
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


async def test_a_row_has_the_time_of_its_last_write(provider: Provider) -> None:
    tables, name = await new_table(provider)
    await tables.insert(name, row(a="1"))
    (first,) = (await tables.query(name)).rows
    stamp = first.values["Timestamp"]
    assert type(stamp) is DateTime
    assert abs(ticks.parse(stamp) - provider.account.clock.now()) < 5 * ticks.PER_SECOND
    await tables.merge(name, row(a="1"))
    (second,) = (await tables.query(name)).rows
    assert ticks.parse(str(second.values["Timestamp"])) > ticks.parse(stamp)


async def test_none_is_no_column_and_a_merge_leaves_the_old_value(provider: Provider) -> None:
    tables, name = await new_table(provider)
    await tables.insert(name, row(a="1", b=None))
    assert await only(tables, name) == row(a="1")
    await tables.merge(name, row(a=None, b="2"))
    assert await only(tables, name) == row(a="1", b="2")
    await tables.replace(name, row(a=None, b="3"))
    assert await only(tables, name) == row(b="3")


async def test_a_merge_of_nothing_changes_the_etag_alone(provider: Provider) -> None:
    tables, name = await new_table(provider)
    first = await tables.insert(name, row(a="1"))
    second = await tables.merge(name, row(), etag=first)
    assert second != first
    (found,) = (await tables.query(name, select=("PartitionKey", "a", "missing"))).rows
    assert (found.values["a"], found.values.get("missing"), found.etag) == ("1", None, second)


async def test_a_merge_may_change_a_type(provider: Provider) -> None:
    tables, name = await new_table(provider)
    await tables.insert(name, row(a="1"))
    await tables.merge(name, row(a=1))
    assert await only(tables, name) == row(a=1)


async def test_insert_refuses_an_existing_row(provider: Provider) -> None:
    tables, name = await new_table(provider)
    await tables.insert(name, row(a="1"))
    with pytest.raises(AlreadyExistsError) as caught:
        await tables.insert(name, row(a="2"))
    assert caught.value.status == 409
    assert await only(tables, name) == row(a="1")


async def test_rows_are_told_apart_by_both_keys_and_case(provider: Provider) -> None:
    tables, name = await new_table(provider)
    for partition, key in (("p", "r"), ("P", "r"), ("p", "R"), ("r", "p")):
        await tables.insert(name, row(key, partition, a=partition + key))
    assert [found.values["a"] for found in (await tables.query(name)).rows] == ["Pr", "pR", "pr", "rp"]


async def test_merge_and_replace_without_etag_create_the_row(provider: Provider) -> None:
    tables, name = await new_table(provider)
    await tables.merge(name, row("m", a="1"))
    await tables.replace(name, row("n", a="2"))
    assert [found.values["a"] for found in (await tables.query(name)).rows] == ["1", "2"]


async def test_every_write_has_a_new_etag_and_the_row_has_the_last_one(provider: Provider) -> None:
    tables, name = await new_table(provider)
    etags = [
        await tables.insert(name, row(a="1")),
        await tables.merge(name, row(a="1")),
        await tables.replace(name, row(a="1")),
        *await tables.transaction(name, [Operation(Verb.REPLACE, row(a="1"))]),
    ]
    assert len(set(etags)) == 4
    assert all(etag is not None and ETAG.fullmatch(etag) for etag in etags)
    (found,) = (await tables.query(name)).rows
    assert found.etag == etags[-1]


@pytest.mark.parametrize("verb", ["merge", "replace"])
async def test_etags_guard_merges_and_replacements(provider: Provider, verb: str) -> None:
    tables, name = await new_table(provider)
    write = tables.merge if verb == "merge" else tables.replace
    old = await tables.insert(name, row(a="1"))
    new = await write(name, row(a="2"), etag=old)
    with pytest.raises(PreconditionFailedError) as caught:
        await write(name, row(a="3"), etag=old)
    assert caught.value.status == 412
    for etag in (ANY, old):
        with pytest.raises(NotFoundError):
            await write(name, row("missing"), etag=etag)
    assert await only(tables, name) == row(a="2")
    await write(name, row(a="4"), etag=new)
    await write(name, row(a="5"), etag=ANY)
    assert await only(tables, name) == row(a="5")


async def test_etags_guard_deletions(provider: Provider) -> None:
    tables, name = await new_table(provider)
    old = await tables.insert(name, row(a="1"))
    new = await tables.merge(name, row(a="2"))
    with pytest.raises(PreconditionFailedError):
        await tables.delete(name, "p", "r", etag=old)
    await tables.delete(name, "p", "r", etag=new)
    with pytest.raises(NotFoundError):
        await tables.delete(name, "p", "r")
    await tables.insert(name, row(a="1"))
    await tables.delete(name, "p", "r")
    assert (await tables.query(name)).rows == []


async def test_a_row_that_was_deleted_and_inserted_again_has_another_etag(provider: Provider) -> None:
    """Design rule 2: the ETag of the sentinel is the only lock, also across a purge."""
    tables, name = await new_table(provider)
    old = await tables.insert(name, row(a="1"))
    await tables.delete(name, "p", "r")
    await tables.insert(name, row(a="1"))
    with pytest.raises(PreconditionFailedError):
        await tables.merge(name, row(a="2"), etag=old)


async def test_a_transaction_applies_everything_and_returns_the_etags(provider: Provider) -> None:
    tables, name = await new_table(provider)
    old = await tables.insert(name, row("d"))
    await tables.insert(name, row("e"))
    await tables.insert(name, row("m", a="1"))
    etags = await tables.transaction(
        name,
        [
            Operation(Verb.INSERT, row("i", when=WHEN)),
            Operation(Verb.REPLACE, row("r", n=7)),
            Operation(Verb.MERGE, row("m", b="2", c=None), ANY),
            Operation(Verb.DELETE, row("d"), old),
            Operation(Verb.DELETE, row("e"), ANY),
            Operation(Verb.MERGE, row("new", a="käse 😀")),
        ],
    )
    assert [etag is None for etag in etags] == [False, False, False, True, True, False]
    found = {str(item.values["RowKey"]): item for item in (await tables.query(name)).rows}
    assert sorted(found) == ["i", "m", "new", "r"]
    assert [found["i"].etag, found["r"].etag, found["m"].etag, found["new"].etag] == [*etags[:3], etags[5]]
    assert (found["m"].values["a"], found["m"].values["b"], found["i"].values["when"]) == ("1", "2", WHEN)
    assert found["new"].values["a"] == "käse 😀"


GUILTY = {
    "insert": (Operation(Verb.INSERT, row("there")), AlreadyExistsError, 409),
    "merge of a missing row": (Operation(Verb.MERGE, row("missing"), ANY), NotFoundError, 404),
    "replacement of a missing row": (Operation(Verb.REPLACE, row("missing"), ANY), NotFoundError, 404),
    "deletion of a missing row": (Operation(Verb.DELETE, row("missing"), ANY), NotFoundError, 404),
    "too large": (Operation(Verb.REPLACE, row("there", a="x" * (32 * 1024 + 1))), InvalidRequestError, 400),
}


@pytest.mark.parametrize("guilty", GUILTY)
async def test_a_transaction_that_fails_changes_nothing_and_names_the_operation(
    provider: Provider, guilty: str
) -> None:
    tables, name = await new_table(provider)
    await tables.insert(name, row("there", a="1"))
    operation, expected, status = GUILTY[guilty]
    with pytest.raises(expected) as caught:
        await tables.transaction(
            name,
            [Operation(Verb.REPLACE, row("new")), Operation(Verb.REPLACE, row("newer")), operation],
        )
    assert (caught.value.index, caught.value.status) == (2, status)
    assert await only(tables, name) == row("there", a="1")


@pytest.mark.parametrize("verb", [Verb.MERGE, Verb.REPLACE, Verb.DELETE])
async def test_a_stale_etag_fails_the_transaction(provider: Provider, verb: Verb) -> None:
    """task-hub 4.4: 412 UpdateConditionNotSatisfied for the sentinel's part."""
    tables, name = await new_table(provider)
    old = await tables.insert(name, row("sentinel", a="1"))
    await tables.merge(name, row("sentinel", a="2"))
    with pytest.raises(PreconditionFailedError) as caught:
        await tables.transaction(
            name, [Operation(Verb.REPLACE, row("new")), Operation(verb, row("sentinel", a="3"), old)]
        )
    assert (caught.value.index, caught.value.code) == (1, "UpdateConditionNotSatisfied")
    assert await only(tables, name) == row("sentinel", a="2")


async def test_an_insert_of_an_existing_row_fails_the_transaction(provider: Provider) -> None:
    """task-hub 4.4: 409 EntityAlreadyExists for the sentinel's part."""
    tables, name = await new_table(provider)
    await tables.insert(name, row("sentinel"))
    with pytest.raises(AlreadyExistsError) as caught:
        await tables.transaction(name, [Operation(Verb.INSERT, row("sentinel"))])
    assert (caught.value.index, caught.value.code) == (0, "EntityAlreadyExists")


async def test_a_transaction_has_1_to_100_operations_on_different_rows_of_one_partition(provider: Provider) -> None:
    tables, name = await new_table(provider)
    hundred = [Operation(Verb.REPLACE, row(f"{number:03}")) for number in range(100)]
    assert len(await tables.transaction(name, hundred)) == 100
    for wrong in (
        [],
        [*hundred, Operation(Verb.REPLACE, row("one more"))],
        [Operation(Verb.REPLACE, row("a")), Operation(Verb.REPLACE, row("a"))],
        [Operation(Verb.REPLACE, row("a")), Operation(Verb.REPLACE, row("a", "other"))],
    ):
        with pytest.raises(InvalidRequestError):
            await tables.transaction(name, wrong)
    assert len((await tables.query(name)).rows) == 100


async def test_a_transaction_ends_at_4_mib(provider: Provider) -> None:
    tables, name = await new_table(provider)

    def filled(count: int) -> list[Operation]:
        columns = {f"c{number}": "x" * 26_000 for number in range(5)}
        return [Operation(Verb.REPLACE, row(f"{number}", **columns)) for number in range(count)]

    with pytest.raises(InvalidRequestError):
        await tables.transaction(name, filled(40))
    assert (await tables.query(name)).rows == []
    assert len(await tables.transaction(name, filled(30))) == 30


@pytest.mark.parametrize("key", ["plain", "odd%id'é", "a^0b", "blank space", "plus+and&", "注文", "@counter@k", "😀"])
async def test_keys_of_all_kinds_are_written_and_found(provider: Provider, key: str) -> None:
    """task-hub 4.1: escaped instance ids hold anything but a few characters."""
    tables, name = await new_table(provider)
    etag = await tables.insert(name, row("", key, a="1"))
    etag = await tables.merge(name, row("", key, a="2"), etag=etag)
    await tables.transaction(name, [Operation(Verb.MERGE, row("", key, b="3"), etag)])
    quoted = key.replace("'", "''")
    assert await only(tables, name, f"PartitionKey eq '{quoted}'") == row("", key, a="2", b="3")
    await tables.delete(name, key, "")


@pytest.mark.parametrize("character", ["/", "\\", "#", "?", "\t", "\x00", "\x7f", "\x85"])
async def test_keys_with_other_characters_are_refused(provider: Provider, character: str) -> None:
    """task-hub 4.1: that is why instance ids are escaped."""
    tables, name = await new_table(provider)
    for entity in (row(f"a{character}b"), row("r", f"a{character}b")):
        with pytest.raises(InvalidRequestError):
            await tables.insert(name, entity)


async def test_keys_end_at_1_kib(provider: Provider) -> None:
    tables, name = await new_table(provider)
    await tables.insert(name, row("k" * 512, "k" * 512))
    for entity in (row("k" * 513), row("r", "k" * 513)):
        with pytest.raises(InvalidRequestError):
            await tables.insert(name, entity)


async def test_a_missing_table_is_not_found(provider: Provider) -> None:
    tables, name = provider.account.tables, provider.name("T")
    calls = [
        tables.insert(name, row()),
        tables.merge(name, row()),
        tables.replace(name, row(), etag=ANY),
        tables.delete(name, "p", "r"),
        tables.transaction(name, [Operation(Verb.INSERT, row())]),
        tables.query(name, "PartitionKey eq 'p'"),
    ]
    for call in calls:
        with pytest.raises(NotFoundError) as caught:
            await call
        assert caught.value.status == 404


async def test_a_dropped_table_is_gone_with_its_rows(provider: Provider) -> None:
    tables, name = await new_table(provider)
    await tables.insert(name, row())
    await tables.drop(name)
    with pytest.raises(NotFoundError):
        await tables.query(name)


@pytest.mark.parametrize("value", ["x" * (32 * 1024 + 1), "😀" * (16 * 1024 + 1), b"x" * (64 * 1024 + 1)])
async def test_a_column_of_more_than_64_kib_is_refused(provider: Provider, value: str | bytes) -> None:
    """task-hub 4.5: that is why large values overflow into blobs."""
    tables, name = await new_table(provider)
    with pytest.raises(InvalidRequestError):
        await tables.insert(name, row(a=value))
    await tables.insert(name, row())
    with pytest.raises(InvalidRequestError):
        await tables.merge(name, row(a=value))


@pytest.mark.parametrize("value", ["x" * 32 * 1024, "😀" * 16 * 1024, b"x" * 64 * 1024])
async def test_a_column_of_64_kib_is_accepted(provider: Provider, value: str | bytes) -> None:
    tables, name = await new_table(provider)
    await tables.insert(name, row(a=value))
    assert await only(tables, name) == row(a=value)


async def test_calls_are_counted_by_their_kind(provider: Provider) -> None:
    tables, name = await new_table(provider)
    await tables.insert(name, row())
    await tables.merge(name, row())
    await tables.replace(name, row())
    await tables.transaction(name, [Operation(Verb.MERGE, row()), Operation(Verb.MERGE, SECOND_ROW)])
    await tables.query(name)
    await tables.delete(name, "p", "r")
    with pytest.raises(NotFoundError):
        await tables.delete(name, "p", "r")
    kinds = {"create": 1, "insert": 1, "merge": 1, "replace": 1, "transaction": 1, "query": 1, "delete": 2}
    assert provider.account.calls.by_kind == {f"table.{kind}": count for kind, count in kinds.items()}
