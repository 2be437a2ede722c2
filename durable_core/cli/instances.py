"""``durable instances``: list, show, start and steer orchestration instances."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from durable_core.cli import output, values
from durable_core.cli.target import INTERRUPTED, Json, Target, Yes, run, run_client, run_reader, with_target
from durable_core.errors import InstanceNotFoundError

if TYPE_CHECKING:
    from durable_core.core.history import HistoryEvent
    from durable_core.taskhub.instance_query import InstanceFilter
    from durable_core.taskhub.instance_table import InstanceStatus
    from durable_core.text_client import TextClient

app = typer.Typer(no_args_is_help=True)

STILL_RUNNING = 124
_LARGEST_PAGE = 1000
_PURGE_STEP = 2.0

Id = Annotated[str, typer.Argument(help="Instance id.")]
Reason = Annotated[str, typer.Option(help="Why; kept in the history.")]
Statuses = Annotated[list[str] | None, typer.Option("--status", help="Only these, e.g. Running; may be repeated.")]
From = Annotated[str | None, typer.Option("--from", help="Created at or after, e.g. 2026-01-31T12:00:00Z.")]
To = Annotated[str | None, typer.Option("--to", help="Created at or before.")]
Prefix = Annotated[str, typer.Option(help="Only ids that begin like this.")]


@app.command("list")
@with_target
def list_instances(
    target: Target,
    status: Statuses = None,
    created_from: From = None,
    created_to: To = None,
    prefix: Prefix = "",
    top: Annotated[int, typer.Option(min=1, help="At most this many.")] = 100,
    continuation: Annotated[str | None, typer.Option("--continue", help="Token that the page before told.")] = None,
    as_json: Json = False,
) -> None:
    """List instances by id."""
    wanted = values.instance_filter(status, created_from, created_to, prefix)

    async def work(client: TextClient) -> tuple[list[InstanceStatus], str | None, int]:
        found, token = await first_instances(client, wanted, top, continuation, with_payloads=as_json)
        return found, token, client.now()

    found, token, now = run_reader(target, work)
    if as_json:
        output.print_json([document(item) for item in found])
    else:
        output.print_table(
            ["Status", "Created", "Changed", "Function", "Instance"],
            [
                (
                    output.styled(item.runtime_status.name),
                    output.ago(item.created_time, now),
                    output.ago(item.last_updated_time, now),
                    item.name,
                    item.instance_id,
                )
                for item in found
            ],
        )
        typer.echo(f"{len(found)} instance(s).")
    if token is not None:
        typer.echo(f"There are more: --continue '{token}'", err=True)


async def first_instances(
    client: TextClient, wanted: InstanceFilter, top: int, continuation: str | None, *, with_payloads: bool
) -> tuple[list[InstanceStatus], str | None]:
    """At most ``top`` instances, and the token of what follows."""
    found: list[InstanceStatus] = []
    while True:
        page = await client.list_instances(
            wanted,
            top=min(top - len(found), _LARGEST_PAGE),
            continuation=continuation,
            with_payloads=with_payloads,
        )
        found += page.instances
        continuation = page.continuation
        if continuation is None or len(found) >= top:
            return found, continuation


@app.command()
@with_target
def show(target: Target, instance_id: Id, as_json: Json = False) -> None:
    """Show one instance."""

    async def work(client: TextClient) -> tuple[InstanceStatus, int]:
        return await existing(client, instance_id), client.now()

    status, now = run_reader(target, work)
    if as_json:
        output.print_json(document(status))
        return
    pairs: list[tuple[str, Any]] = [
        ("Instance", status.instance_id),
        ("Function", status.name),
        ("Status", output.styled(status.runtime_status.name)),
        ("Created", f"{output.exact(status.created_time)}  ({output.ago(status.created_time, now)})"),
        ("Changed", f"{output.exact(status.last_updated_time)}  ({output.ago(status.last_updated_time, now)})"),
        ("Starts at", output.exact(status.scheduled_start_time) if status.scheduled_start_time else None),
        ("Version", status.version),
        ("Input", status.input),
        ("Custom status", status.custom_status),
        ("Output", status.output),
    ]
    output.print_pairs([(name, value) for name, value in pairs if value])


@app.command()
@with_target
def start(
    target: Target,
    name: Annotated[str, typer.Argument(help="Name of the orchestrator.")],
    input: Annotated[str | None, typer.Option(help="JSON, or @FILE with JSON.")] = None,
    instance_id: Annotated[str | None, typer.Option("--id", help="Id of the instance; made if it is left out.")] = None,
    version: Annotated[str | None, typer.Option(help="Version of the instance.")] = None,
    at: Annotated[str | None, typer.Option(help="Not before this time, e.g. 2026-01-31T12:00:00Z.")] = None,
    as_json: Json = False,
) -> None:
    """Start an instance and print its id."""
    text, due = values.json_text(input), values.moment(at)
    started = run_client(
        target,
        lambda client: client.start_new(name, input=text, instance_id=instance_id, version=version, start_at=due),
    )
    output.done(as_json, started, instanceId=started)


@app.command("raise")
@with_target
def raise_event(
    target: Target,
    instance_id: Id,
    name: Annotated[str, typer.Argument(help="Name of the event, exactly as the orchestrator waits for it.")],
    data: Annotated[str, typer.Option(help="JSON, or @FILE with JSON.")] = "null",
    as_json: Json = False,
) -> None:
    """Raise an external event."""
    text = values.json_text(data)
    run_client(target, lambda client: client.raise_event(instance_id, name, text))
    output.done(as_json, f"Event '{name}' is on its way to '{instance_id}'.", instanceId=instance_id, event=name)


@app.command()
@with_target
def terminate(
    target: Target,
    instance_id: Id,
    reason: Reason = "",
    recursive: Annotated[bool, typer.Option(help="Also its sub-orchestrations.")] = False,
    as_json: Json = False,
) -> None:
    """End an instance now."""
    run_client(target, lambda client: client.terminate(instance_id, reason, recursive=recursive))
    output.done(as_json, f"'{instance_id}' is asked to end.", instanceId=instance_id, requested="terminate")


@app.command()
@with_target
def suspend(target: Target, instance_id: Id, reason: Reason = "", as_json: Json = False) -> None:
    """Pause an instance; what it is sent waits."""
    run_client(target, lambda client: client.suspend(instance_id, reason))
    output.done(as_json, f"'{instance_id}' is asked to pause.", instanceId=instance_id, requested="suspend")


@app.command()
@with_target
def resume(target: Target, instance_id: Id, reason: Reason = "", as_json: Json = False) -> None:
    """Let a suspended instance go on."""
    run_client(target, lambda client: client.resume(instance_id, reason))
    output.done(as_json, f"'{instance_id}' is asked to go on.", instanceId=instance_id, requested="resume")


@app.command()
@with_target
def rewind(target: Target, instance_id: Id, reason: Reason = "", as_json: Json = False) -> None:
    """Let a failed instance try the failed step again."""
    run_client(target, lambda client: client.rewind(instance_id, reason))
    output.done(as_json, f"'{instance_id}' tries again.", instanceId=instance_id, requested="rewind")


@app.command()
@with_target
def restart(
    target: Target,
    instance_id: Id,
    same_id: Annotated[bool, typer.Option(help="Keep the id; the old run is replaced.")] = False,
    as_json: Json = False,
) -> None:
    """Start the same function with the same input, and print the id."""
    started = run_client(target, lambda client: client.restart(instance_id, restart_with_new_instance_id=not same_id))
    output.done(as_json, started, instanceId=started)


@app.command()
@with_target
def purge(
    target: Target,
    instance_id: Annotated[str | None, typer.Argument(help="One instance; leave it out to purge by filter.")] = None,
    status: Statuses = None,
    created_from: From = None,
    created_to: To = None,
    prefix: Prefix = "",
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Delete finished instances with their history and large values. Can be interrupted and called again."""
    wanted = values.purge_filter(status, created_from, created_to, prefix)
    if instance_id is not None:
        if status or created_from or created_to or prefix:
            raise typer.BadParameter("an instance id and a filter do not go together")
        output.confirm(f"Delete instance '{instance_id}' for good?", yes)
        run_client(target, lambda client: client.purge(instance_id))
        output.done(as_json, f"'{instance_id}' is deleted.", deleted=1)
        return
    output.confirm("Delete every finished instance that fits, for good?", yes)
    deleted = purge_all(target, wanted)
    output.done(as_json, f"{deleted} instance(s) deleted.", deleted=deleted)


def purge_all(target: Target, wanted: InstanceFilter) -> int:
    """Purge step by step, telling how far it is; an interrupted purge has deleted what it told."""
    deleted = 0

    async def work() -> None:
        nonlocal deleted
        async with target.reader() as client:
            with output.progress("Deleting …") as progress:
                while True:
                    result = await client.purge_many(wanted, within=_PURGE_STEP)
                    deleted += result.deleted
                    if result.is_complete:
                        return
                    progress.tell(f"{deleted} deleted so far …")

    try:
        run(work)
    except typer.Exit as stopped:
        if deleted or stopped.exit_code == INTERRUPTED:
            typer.echo(f"Stopped after {deleted} instance(s); call again to go on.", err=True)
        raise
    return deleted


@app.command()
@with_target
def wait(
    target: Target,
    instance_id: Id,
    timeout: Annotated[float, typer.Option(min=0, help="Seconds.")] = 60.0,
    as_json: Json = False,
) -> None:
    """Wait for the end of an instance. Exit code 0: completed, 1: ended otherwise, 124: still running."""

    async def work(client: TextClient) -> InstanceStatus:
        await existing(client, instance_id)
        with output.progress(f"Waiting for '{instance_id}' …"):
            status = await client.wait_for_completion(instance_id, timeout=timeout, poll=0.2, longest_poll=5.0)
        return status or await existing(client, instance_id)

    status = run_reader(target, work)
    if as_json:
        output.print_json(document(status))
    else:
        name = status.runtime_status.name
        typer.echo(f"{name} {status.output}" if status.output else name)
    if not status.runtime_status.is_finished:
        raise typer.Exit(STILL_RUNNING)
    if status.runtime_status.name != "Completed":
        raise typer.Exit(1)


@app.command()
@with_target
def history(
    target: Target,
    instance_id: Id,
    payloads: Annotated[bool, typer.Option(help="With inputs and results.")] = True,
    as_json: Json = False,
    as_rows: Annotated[bool, typer.Option("--rows", help="Rows as JSON, for `durable replay`.")] = False,
) -> None:
    """Draw what an instance has done: one line a step, with the time that it took."""

    async def work(client: TextClient) -> tuple[InstanceStatus, Sequence[HistoryEvent], int]:
        status = await existing(client, instance_id)
        return status, await client.get_history(instance_id, with_payloads=payloads), client.now()

    status, events, now = run_reader(target, work)
    if as_rows:
        from durable_core.taskhub.history_table import history_rows

        output.print_json(history_rows(instance_id, status.execution_id or "", events))
        return
    if as_json:
        from durable_core.taskhub.status_history import event_document

        output.print_json([event_document(event, with_payloads=payloads) for event in events])
        return
    from durable_core.cli.timeline import print_timeline

    print_timeline(events, now)
    name = status.runtime_status.name
    changed = output.ago(status.last_updated_time, now)
    typer.echo(output.styled(f"{name}, changed {changed}; {len(events)} event(s).", name).shown())


async def existing(client: TextClient, instance_id: str) -> InstanceStatus:
    """The instance.

    Raises:
        InstanceNotFoundError: there is none.
    """
    status = await client.get_status(instance_id)
    if status is None:
        raise InstanceNotFoundError(f"No instance with ID '{instance_id}' was found.")
    return status


def document(status: InstanceStatus) -> dict[str, Any]:
    """One instance as JSON."""
    from durable_core.taskhub.status_history import parsed

    return {
        "name": status.name,
        "instanceId": status.instance_id,
        "runtimeStatus": status.runtime_status.name,
        "version": status.version,
        "createdTime": output.exact(status.created_time),
        "lastUpdatedTime": output.exact(status.last_updated_time),
        "input": parsed(status.input),
        "customStatus": parsed(status.custom_status),
        "output": parsed(status.output),
    }
