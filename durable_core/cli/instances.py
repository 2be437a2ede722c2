"""``durable instances``: list, show, start and steer orchestration instances."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Annotated, Any, TypeVar

import typer

from durable_core.cli.connection import open_hub
from durable_core.core import ticks
from durable_core.core.history import EVENT_TYPES, HistoryEvent, OrchestrationStatus
from durable_core.errors import InstanceExistsError, InstanceNotFoundError, InvalidOperationError
from durable_core.taskhub.instance_query import InstanceFilter
from durable_core.taskhub.instance_table import InstanceStatus
from durable_core.taskhub.status_history import parsed
from durable_core.text_client import TextClient

T = TypeVar("T")

app = typer.Typer(help="Orchestration instances of the app's task hub.", no_args_is_help=True)

Root = Annotated[Path, typer.Option("--script-root", help="Folder of the app.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Id = Annotated[str, typer.Argument(help="Instance id.")]
Reason = Annotated[str, typer.Option(help="Why; kept in the history.")]
Statuses = Annotated[list[str] | None, typer.Option("--status", help="Only these, e.g. Running; may be repeated.")]
From = Annotated[str | None, typer.Option("--from", help="Created at or after, e.g. 2026-01-31T12:00:00Z.")]
To = Annotated[str | None, typer.Option("--to", help="Created at or before.")]
Prefix = Annotated[str, typer.Option(help="Only ids that begin like this.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


@app.command("list")
def list_instances(
    status: Statuses = None,
    created_from: From = None,
    created_to: To = None,
    prefix: Prefix = "",
    top: Annotated[int, typer.Option(min=1, help="At most this many.")] = 100,
    script_root: Root = Path(),
    as_json: Json = False,
) -> None:
    """List instances by id."""
    wanted = _filter(status, created_from, created_to, prefix)

    async def work(client: TextClient) -> list[InstanceStatus]:
        found: list[InstanceStatus] = []
        async for item in client.all_instances(wanted, with_payloads=as_json):
            found.append(item)
            if len(found) == top:
                break
        return found

    found = _run(script_root, work)
    if as_json:
        _print_json([_document(item) for item in found])
        return
    for item in found:
        typer.echo(f"{item.runtime_status.name:<11} {_time(item.created_time)}  {item.name:<24} {item.instance_id}")
    typer.echo(f"{len(found)} instance(s).")


@app.command()
def show(instance_id: Id, script_root: Root = Path(), as_json: Json = False) -> None:
    """Show one instance."""
    status = _run(script_root, lambda client: _existing(client, instance_id))
    document = _document(status)
    if as_json:
        _print_json(document)
        return
    for name, value in document.items():
        typer.echo(f"{name + ':':<18} {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}")


@app.command()
def start(
    name: Annotated[str, typer.Argument(help="Name of the orchestrator.")],
    input: Annotated[str | None, typer.Option(help="JSON, or @FILE with JSON.")] = None,
    instance_id: Annotated[str | None, typer.Option("--id", help="Id of the instance; made if it is left out.")] = None,
    version: Annotated[str | None, typer.Option(help="Version of the instance.")] = None,
    script_root: Root = Path(),
) -> None:
    """Start an instance and print its id."""
    text = _json_text(input)
    typer.echo(
        _run(
            script_root,
            lambda client: client.start_new(name, input=text, instance_id=instance_id, version=version),
        )
    )


@app.command("raise")
def raise_event(
    instance_id: Id,
    name: Annotated[str, typer.Argument(help="Name of the event, exactly as the orchestrator waits for it.")],
    data: Annotated[str, typer.Option(help="JSON, or @FILE with JSON.")] = "null",
    script_root: Root = Path(),
) -> None:
    """Raise an external event."""
    text = _json_text(data)
    _run(script_root, lambda client: client.raise_event(instance_id, name, text))


@app.command()
def terminate(
    instance_id: Id,
    reason: Reason = "",
    recursive: Annotated[bool, typer.Option(help="Also its sub-orchestrations.")] = False,
    script_root: Root = Path(),
) -> None:
    """End an instance now."""
    _run(script_root, lambda client: client.terminate(instance_id, reason, recursive=recursive))


@app.command()
def suspend(instance_id: Id, reason: Reason = "", script_root: Root = Path()) -> None:
    """Pause an instance; what it is sent waits."""
    _run(script_root, lambda client: client.suspend(instance_id, reason))


@app.command()
def resume(instance_id: Id, reason: Reason = "", script_root: Root = Path()) -> None:
    """Let a suspended instance go on."""
    _run(script_root, lambda client: client.resume(instance_id, reason))


@app.command()
def rewind(instance_id: Id, reason: Reason = "", script_root: Root = Path()) -> None:
    """Let a failed instance try the failed step again."""
    _run(script_root, lambda client: client.rewind(instance_id, reason))


@app.command()
def restart(
    instance_id: Id,
    same_id: Annotated[bool, typer.Option(help="Keep the id; the old run is replaced.")] = False,
    script_root: Root = Path(),
) -> None:
    """Start the same function with the same input, and print the id."""
    typer.echo(_run(script_root, lambda client: client.restart(instance_id, restart_with_new_instance_id=not same_id)))


@app.command()
def purge(
    instance_id: Annotated[str | None, typer.Argument(help="One instance; leave it out to purge by filter.")] = None,
    status: Statuses = None,
    created_from: From = None,
    created_to: To = None,
    prefix: Prefix = "",
    yes: Yes = False,
    script_root: Root = Path(),
) -> None:
    """Delete finished instances with their history and large values. Can be interrupted and called again."""
    if instance_id is not None:
        if not yes:
            typer.confirm(f"Delete instance '{instance_id}' for good?", abort=True)
        _run(script_root, lambda client: client.purge(instance_id))
        return
    wanted = _filter(status, created_from, created_to, prefix)
    if not yes:
        typer.confirm("Delete every finished instance that fits, for good?", abort=True)

    async def work(client: TextClient) -> int:
        deleted = 0
        while True:
            result = await client.purge_many(wanted, within=2.0)
            deleted += result.deleted
            if result.is_complete:
                return deleted
            typer.echo(f"{deleted} deleted so far", err=True)

    typer.echo(f"{_run(script_root, work)} instance(s) deleted.")


@app.command()
def wait(
    instance_id: Id,
    timeout: Annotated[float, typer.Option(min=0, help="Seconds.")] = 60.0,
    script_root: Root = Path(),
) -> None:
    """Wait for the end of an instance. Exit code 0: completed, 1: ended otherwise, 124: still running."""

    async def work(client: TextClient) -> InstanceStatus:
        await _existing(client, instance_id)
        status = await client.wait_for_completion(instance_id, timeout=timeout)
        return status or await _existing(client, instance_id)

    status = _run(script_root, work)
    typer.echo(status.runtime_status.name if status.output is None else f"{status.runtime_status.name} {status.output}")
    if not status.runtime_status.is_finished:
        raise typer.Exit(124)
    if status.runtime_status is not OrchestrationStatus.Completed:
        raise typer.Exit(1)


@app.command()
def history(instance_id: Id, script_root: Root = Path(), as_json: Json = False) -> None:
    """Draw what an instance has done, one line an event."""

    async def work(client: TextClient) -> tuple[InstanceStatus, list[HistoryEvent]]:
        return await _existing(client, instance_id), list(await client.get_history(instance_id))

    status, events = _run(script_root, work)
    if as_json:
        _print_json([_event(event) for event in events])
        return
    begin = events[0].timestamp if events else 0
    for event in events:
        typer.echo(f"{(event.timestamp - begin) / ticks.PER_SECOND:>10.3f} s  {_line(event)}")
    typer.echo(f"{status.runtime_status.name} after {len(events)} event(s).")


# ---- helpers ---------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def open_client(root: Path) -> AsyncIterator[TextClient]:
    """A client of the app's hub, in a process without a worker."""
    async with open_hub(root) as (hub, options):
        yield TextClient(hub, random=Random(), replaceable=options.replaceable, default_version=options.default_version)


def _run(root: Path, work: Callable[[TextClient], Awaitable[T]]) -> T:
    async def run() -> T:
        async with open_client(root) as client:
            return await work(client)

    try:
        return asyncio.run(run())
    except (InstanceNotFoundError, InvalidOperationError, InstanceExistsError) as error:
        typer.echo(f"durable: {error}", err=True)
        raise typer.Exit(1) from None
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


async def _existing(client: TextClient, instance_id: str) -> InstanceStatus:
    status = await client.get_status(instance_id)
    if status is None:
        raise InstanceNotFoundError(f"No instance with ID '{instance_id}' was found.")
    return status


def _filter(
    statuses: list[str] | None, created_from: str | None, created_to: str | None, prefix: str
) -> InstanceFilter:
    known = {status.name.lower(): status for status in OrchestrationStatus}
    unknown = [name for name in statuses or () if name.lower() not in known]
    if unknown:
        raise typer.BadParameter(
            f"{', '.join(unknown)}: use {', '.join(status.name for status in OrchestrationStatus)}"
        )
    return InstanceFilter(
        created_from=_moment(created_from),
        created_to=_moment(created_to),
        statuses=[known[name.lower()] for name in statuses or ()],
        prefix=prefix,
    )


def _moment(text: str | None) -> int | None:
    if text is None:
        return None
    try:
        return ticks.parse(text if "T" in text else f"{text}T00:00:00Z")
    except ValueError as error:
        raise typer.BadParameter(f"{error}; write 2026-01-31T12:00:00Z") from None


def _json_text(value: str | None) -> str | None:
    if value is None:
        return None
    try:
        text = Path(value[1:]).read_text(encoding="utf-8") if value.startswith("@") else value
        return json.dumps(json.loads(text), ensure_ascii=False, separators=(",", ":"))
    except (OSError, ValueError) as error:
        raise typer.BadParameter(f"{value!r} is no JSON ({error}); a text needs quotes: '\"text\"'") from None


def _document(status: InstanceStatus) -> dict[str, Any]:
    return {
        "name": status.name,
        "instanceId": status.instance_id,
        "runtimeStatus": status.runtime_status.name,
        "version": status.version,
        "createdTime": _time(status.created_time),
        "lastUpdatedTime": _time(status.last_updated_time),
        "input": parsed(status.input),
        "customStatus": parsed(status.custom_status),
        "output": parsed(status.output),
    }


def _time(moment: int | None) -> str:
    return "-" if moment is None else ticks.format_message(moment // ticks.PER_SECOND * ticks.PER_SECOND)


def _members(event: HistoryEvent) -> dict[str, Any]:
    left_out = ("timestamp", "event_id", "is_played", "failure_details", "tags", "parent_trace_context", "correlation")
    names = [name for kind in type(event).__mro__ for name in getattr(kind, "__slots__", ())]
    values = {name: getattr(event, name) for name in names if name not in left_out}
    return {name: value for name, value in values.items() if value not in (None, "", False)}


def _event(event: HistoryEvent) -> dict[str, Any]:
    return {
        "eventType": EVENT_TYPES[type(event)].name,
        "eventId": event.event_id,
        "timestamp": ticks.format_message(event.timestamp),
        **{name: value if isinstance(value, (str, int)) else str(value) for name, value in _members(event).items()},
    }


def _line(event: HistoryEvent) -> str:
    """Event type, its number if it records a decision, and what tells it apart."""
    number = f" #{event.event_id}" if event.event_id >= 0 else ""
    told = ("name", "instance_id", "task_scheduled_id", "timer_id", "result", "input", "reason", "data")
    members = _members(event)
    details = [f"{name}={str(members[name])[:60]}" for name in told if name in members]
    if "fire_at" in members:
        details.append(f"fire_at={_time(members['fire_at'])}")
    return " ".join([f"{EVENT_TYPES[type(event)].name}{number}", *details])


def _print_json(document: Any) -> None:
    typer.echo(json.dumps(document, indent=2, ensure_ascii=False))
