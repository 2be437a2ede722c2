"""Rows and tables for the contract tests."""

from __future__ import annotations

from durable_core.storage.base import DateTime, Entity, TableStore
from tests.storage.conftest import Provider

WHEN = DateTime("2026-11-21T11:46:45.9520600Z")


async def new_table(provider: Provider) -> tuple[TableStore, str]:
    name = provider.name("T")
    assert await provider.account.tables.create(name)
    return provider.account.tables, name


def row(key: str = "r", partition: str = "p", **columns: object) -> Entity:
    return {"PartitionKey": partition, "RowKey": key, **columns}  # type: ignore[dict-item]


async def only(tables: TableStore, table: str, filter: str = "") -> dict[str, object]:
    """The one row that matches, without its Timestamp."""
    (found,) = (await tables.query(table, filter)).rows
    return {name: value for name, value in found.values.items() if name != "Timestamp"}
