"""``durable entities``: list, show, signal and clean up entities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from durable_core.cli import output, values
from durable_core.cli.target import INTERRUPTED, Json, Target, failed, run, run_client, run_reader, with_target

if TYPE_CHECKING:
    from durable_core.core.entity_ids import EntityId
    from durable_core.taskhub.entity_store import EntityRecord
    from durable_core.text_client import TextClient

app = typer.Typer(no_args_is_help=True)

_PAGE = 100

Id = Annotated[str, typer.Argument(help="@NAME@KEY, or NAME if the key is given too.", metavar="ENTITY")]
Key = Annotated[str | None, typer.Option(help="Key of the entity.")]


@app.command("list")
@with_target
def list_entities(
    target: Target,
    name: Annotated[str | None, typer.Argument(help="Name of the entity function; all if it is left out.")] = None,
    transient: Annotated[bool, typer.Option(help="Also those that were deleted but still have a record.")] = False,
    top: Annotated[int, typer.Option(min=1, help="At most this many.")] = 100,
    as_json: Json = False,
) -> None:
    """List entities by id, with their states."""

    async def work() -> tuple[list[EntityRecord], bool, int]:
        from durable_core.taskhub.entity_store import EntityFilter

        wanted = EntityFilter(name, with_state=True, include_transient=transient)
        found: list[EntityRecord] = []
        continuation: str | None = None
        async with target.reader() as client:
            while True:
                page = await client.list_entities(wanted, top=min(_PAGE, top - len(found)), continuation=continuation)
                found += page.entities
                continuation = page.continuation
                if continuation is None or len(found) >= top:
                    return found, continuation is not None, client.now()

    found, is_cut, now = run(work)
    if as_json:
        output.print_json([document(record) for record in found])
    else:
        output.print_table(
            ["Entity", "State", "Last operation", "Waiting", "Locked by"],
            [_row(record, now) for record in found],
            right=["Waiting"],
        )
        typer.echo(f"{len(found)} entities.")
    if is_cut:
        typer.echo("There are more: --top N", err=True)


def _row(record: EntityRecord, now: int) -> Sequence[str]:
    state = output.one_line(record.state) if record.state is not None else ("" if record.exists else "(deleted)")
    waiting = str(record.queue_size) if record.queue_size else ""
    return (
        str(record.entity_id),
        state,
        output.ago(record.last_operation_time, now),
        waiting,
        record.locked_by or "",
    )


@app.command()
@with_target
def show(target: Target, entity: Id, key: Key = None, as_json: Json = False) -> None:
    """Show one entity with its state."""
    entity_id = _entity_id(entity, key)

    async def work(client: TextClient) -> tuple[EntityRecord | None, int]:
        return await client.read_entity(entity_id), client.now()

    record, now = run_reader(target, work)
    if record is None:
        raise failed(f"There is no entity '{entity_id}'.")
    if as_json:
        output.print_json(document(record))
        return
    last = record.last_operation_time
    output.print_pairs(
        [
            ("Entity", str(record.entity_id)),
            ("State", record.state or "null"),
            ("Last operation", f"{output.exact(last)}  ({output.ago(last, now)})"),
            ("Waiting operations", str(record.queue_size)),
            ("Locked by", record.locked_by or "-"),
        ]
    )


@app.command()
@with_target
def signal(
    target: Target,
    entity: Id,
    operation: Annotated[str, typer.Argument(help="Name of the operation.")],
    input: Annotated[str | None, typer.Option(help="JSON, or @FILE with JSON.")] = None,
    key: Key = None,
    at: Annotated[str | None, typer.Option(help="Not before this time, e.g. 2026-01-31T12:00:00Z.")] = None,
    as_json: Json = False,
) -> None:
    """Ask an entity for an operation; nobody waits for its result."""
    entity_id = _entity_id(entity, key)
    text, due = values.json_text(input), values.moment(at)
    run_client(target, lambda client: client.signal_entity(entity_id, operation, text, due=due))
    output.done(as_json, f"'{operation}' is on its way to '{entity_id}'.", entityId=str(entity_id), operation=operation)


@app.command()
@with_target
def clean(
    target: Target,
    empty: Annotated[bool, typer.Option(help="Remove records of entities that no longer exist.")] = True,
    locks: Annotated[bool, typer.Option(help="Release locks whose owner is gone.")] = True,
    as_json: Json = False,
) -> None:
    """Clean up after deleted entities and lost locks. Can be interrupted and called again."""
    removed = released = 0

    async def work() -> None:
        nonlocal removed, released
        async with target.client() as client:
            with output.progress("Cleaning up …") as progress:
                continuation: str | None = None
                while True:
                    result = await client.clean_entities(
                        remove_empty_entities=empty, release_orphaned_locks=locks, continuation=continuation
                    )
                    removed += result.empty_entities_removed
                    released += result.orphaned_locks_released
                    continuation = result.continuation
                    if continuation is None:
                        return
                    progress.tell(f"{removed} record(s) removed, {released} lock(s) released so far …")

    try:
        run(work)
    except typer.Exit as stopped:
        if removed or released or stopped.exit_code == INTERRUPTED:
            typer.echo(f"Stopped after {removed} record(s) and {released} lock(s); call again to go on.", err=True)
        raise
    output.done(
        as_json,
        f"{removed} record(s) removed, {released} lock(s) released.",
        emptyEntitiesRemoved=removed,
        orphanedLocksReleased=released,
    )


def _entity_id(entity: str, key: str | None) -> EntityId:
    from durable_core.core.entity_ids import EntityId

    try:
        return EntityId.parse(entity) if key is None else EntityId(entity, key)
    except ValueError as error:
        raise typer.BadParameter(f"{error} (or give --key)") from None


def document(record: EntityRecord) -> dict[str, Any]:
    """One entity as JSON."""
    from durable_core.taskhub.status_history import parsed

    return {
        "entityId": {"name": record.entity_id.name.lower(), "key": record.entity_id.key},
        "exists": record.exists,
        "state": parsed(record.state),
        "lastOperationTime": output.exact(record.last_operation_time),
        "queueSize": record.queue_size,
        "lockedBy": record.locked_by,
    }
