"""The commands of ``func durable`` with their options, for scripts and fingers that know them (http-and-protocol 8).

They differ in what is better for scripts: the hub is the one of host.json or the extension's default, an unknown id is
exit code 1, and deleting asks or needs ``--yes``.
"""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING, Annotated, Any

import typer

from durable_core.cli import hub, instances, output, values
from durable_core.cli.target import Target, Yes, run_client, run_reader
from durable_core.core import ticks

if TYPE_CHECKING:
    from durable_core.core.history import HistoryEvent
    from durable_core.taskhub.instance_table import InstanceStatus
    from durable_core.text_client import TextClient

app = typer.Typer(help="The commands of `func durable`.", no_args_is_help=True)

_EXTRA: Any = {"allow_extra_args": True}
"""``--runtime-status completed failed``: the words behind the first are more statuses."""

_REWIND_PAUSE = 3.0
"""Seconds."""

Setting = Annotated[
    str | None, typer.Option("--connection-string-setting", help="Name of the connection setting; that of host.json.")
]
HubName = Annotated[str | None, typer.Option("--task-hub-name", help="Task hub; that of host.json.")]
Id = Annotated[str, typer.Option("--id", help="Instance id.")]
After = Annotated[str | None, typer.Option("--created-after", help="Created at or after.")]
Before = Annotated[str | None, typer.Option("--created-before", help="Created at or before.")]
Statuses = Annotated[list[str] | None, typer.Option("--runtime-status", help="Only these; separated by spaces.")]


def _target(setting: str | None, task_hub: str | None) -> Target:
    return Target(connection=setting, task_hub=task_hub)


@app.command("start-new", hidden=True)
def start_new(
    function_name: Annotated[str, typer.Option("--function-name", help="Name of the orchestrator.")],
    instance_id: Annotated[str | None, typer.Option("--id", help="Instance id; made if it is left out.")] = None,
    input: Annotated[str | None, typer.Option("--input", help="A text, or @FILE with JSON.")] = None,
    setting: Setting = None,
    task_hub: HubName = None,
) -> None:
    """Start an instance."""
    text = _given(input)

    async def work(client: TextClient) -> tuple[str, int]:
        return await client.start_new(function_name, input=text, instance_id=instance_id), client.now()

    started, now = run_client(_target(setting, task_hub), work)
    typer.echo(f"Started '{function_name}' at {output.exact(now)}. Instance ID: '{started}'.")


@app.command("get-instances", hidden=True, context_settings=_EXTRA)
def get_instances(
    context: typer.Context,
    created_after: After = None,
    created_before: Before = None,
    runtime_status: Statuses = None,
    top: Annotated[int, typer.Option("--top", min=1, help="At most this many.")] = 10,
    continuation: Annotated[str | None, typer.Option("--continuation-token", help="Of the call before.")] = None,
    setting: Setting = None,
    task_hub: HubName = None,
) -> None:
    """List instances, as a JSON array."""
    wanted = values.instance_filter(_statuses(context, runtime_status), created_after, created_before)
    continuation = None if continuation in (None, "", "none") else continuation

    found, token = run_reader(
        _target(setting, task_hub),
        lambda client: instances.first_instances(client, wanted, top, continuation, with_payloads=True),
    )
    output.print_json([state(item) for item in found])
    typer.echo(f"Continuation token for next set of results: '{token or 'none'}'")


@app.command("get-runtime-status", hidden=True)
def get_runtime_status(
    instance_id: Id,
    show_input: Annotated[bool, typer.Option("--show-input", help="With the input.")] = False,
    show_output: Annotated[bool, typer.Option("--show-output", help="With the output.")] = False,
    setting: Setting = None,
    task_hub: HubName = None,
) -> None:
    """Show one instance, as JSON."""
    document = state(run_reader(_target(setting, task_hub), lambda client: instances.existing(client, instance_id)))
    if not show_input:
        document["Input"] = None
    if not show_output:
        document["Output"] = None
    output.print_json(document)


@app.command("get-history", hidden=True)
def get_history(instance_id: Id, setting: Setting = None, task_hub: HubName = None) -> None:
    """Show what an instance has done, as a JSON array."""
    from durable_core.taskhub.status_history import event_document

    async def work(client: TextClient) -> list[HistoryEvent]:
        await instances.existing(client, instance_id)
        return list(await client.get_history(instance_id))

    events = run_reader(_target(setting, task_hub), work)
    output.print_json([_capitalised(event_document(event)) for event in events])


@app.command("raise-event", hidden=True)
def raise_event(
    instance_id: Id,
    event_name: Annotated[str | None, typer.Option("--event-name", help="Name of the event.")] = None,
    event_data: Annotated[str | None, typer.Option("--event-data", help="A text, or @FILE with JSON.")] = None,
    setting: Setting = None,
    task_hub: HubName = None,
) -> None:
    """Raise an event."""
    name = event_name or f"Event_{uuid.uuid4().hex}"
    text = _given(event_data)
    run_client(_target(setting, task_hub), lambda client: client.raise_event(instance_id, name, text))
    typer.echo(f"Raised event '{name}' to instance '{instance_id}'.")


@app.command("rewind", hidden=True)
def rewind(
    instance_id: Id,
    reason: Annotated[str, typer.Option("--reason")] = "Instance rewinding through `durable rewind`.",
    setting: Setting = None,
    task_hub: HubName = None,
) -> None:
    """Let a failed instance try the failed step again, and show its status before and 3 s after."""

    async def work(client: TextClient) -> tuple[InstanceStatus, InstanceStatus]:
        before = await instances.existing(client, instance_id)
        await client.rewind(instance_id, reason)
        typer.echo(f"Rewind message sent to instance '{instance_id}'. Retrieving new status now...")
        await asyncio.sleep(_REWIND_PAUSE)
        return before, await instances.existing(client, instance_id)

    before, after = run_client(_target(setting, task_hub), work)
    typer.echo(f"Status before rewind: {before.runtime_status.name}")
    typer.echo(f"Status after rewind:  {after.runtime_status.name}")


@app.command("terminate", hidden=True)
def terminate(
    instance_id: Id,
    reason: Annotated[str, typer.Option("--reason")] = "Instance terminated through `durable terminate`.",
    setting: Setting = None,
    task_hub: HubName = None,
) -> None:
    """End an instance, and wait up to 30 s until it has ended."""

    async def work(client: TextClient) -> InstanceStatus | None:
        await client.terminate(instance_id, reason)
        with output.progress(f"Waiting for the end of '{instance_id}' …"):
            return await client.wait_for_completion(instance_id, timeout=30.0, poll=0.2, longest_poll=2.0)

    status = run_client(_target(setting, task_hub), work)
    if status is None or not status.runtime_status.is_finished:
        typer.echo(f"Instance '{instance_id}' has not ended yet; no worker has taken the message.", err=True)
        raise typer.Exit(instances.STILL_RUNNING)
    typer.echo(f"Successfully terminated '{instance_id}'.")


@app.command("purge-history", hidden=True, context_settings=_EXTRA)
def purge_history(
    context: typer.Context,
    created_after: After = None,
    created_before: Before = None,
    runtime_status: Statuses = None,
    yes: Yes = False,
    setting: Setting = None,
    task_hub: HubName = None,
) -> None:
    """Delete finished instances with their history."""
    wanted = values.purge_filter(_statuses(context, runtime_status), created_after, created_before)
    output.confirm("Delete every finished instance that fits, for good?", yes)
    deleted = instances.purge_all(_target(setting, task_hub), wanted)
    begin = created_after or "the beginning"
    typer.echo(f"Purged orchestration history for all instances created between {begin} and {created_before or 'now'}")
    typer.echo(f"Instances deleted: {deleted}")


@app.command("delete-task-hub", hidden=True)
def delete_task_hub(setting: Setting = None, task_hub: HubName = None, yes: Yes = False) -> None:
    """Delete a task hub with everything in it."""
    name, _ = hub.delete_hub(_target(setting, task_hub), force=False, yes=yes)
    typer.echo(f"Task hub '{name}' successfully deleted.")


def _given(value: str | None) -> str | None:
    """JSON text of what was given: a text is a JSON string, a file holds JSON."""
    import json

    if value is None:
        return None
    if value.startswith("@"):
        return values.json_text(value)
    return json.dumps(value, ensure_ascii=False)


def _statuses(context: typer.Context, statuses: list[str] | None) -> list[str]:
    more = list(context.args)
    if more and (not statuses or any(word.startswith("-") for word in more)):
        raise typer.BadParameter(f"{more[0]} is not understood")
    return [*(statuses or ()), *more]


def state(status: InstanceStatus) -> dict[str, Any]:
    """The state document of the original; its status is a number."""
    return {
        "CompletedTime": _time(status.completed_time),
        "CompressedSize": 0,
        "CreatedTime": _time(status.created_time),
        "Input": status.input,
        "LastUpdatedTime": _time(status.last_updated_time),
        "Name": status.name,
        "OrchestrationInstance": {"InstanceId": status.instance_id, "ExecutionId": status.execution_id},
        "OrchestrationStatus": int(status.runtime_status),
        "Output": status.output,
        "ParentInstance": None,
        "Size": 0,
        "Status": status.custom_status,
        "Tags": None if status.tags is None else dict(status.tags),
        "Version": status.version,
        "Generation": status.generation,
        "ScheduledStartTime": None if status.scheduled_start_time is None else _time(status.scheduled_start_time),
        "FailureDetails": None,
    }


def _time(moment: int | None) -> str:
    return ticks.format_message(moment or 0)


def _capitalised(value: Any) -> Any:
    if isinstance(value, dict):
        return {name[:1].upper() + name[1:]: _capitalised(member) for name, member in value.items()}
    return value
