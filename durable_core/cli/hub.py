"""``durable hub``: the task hubs of a storage account, what one has to do, and how many workers it could use."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from durable_core.cli import output
from durable_core.cli.target import Json, Target, Yes, failed, run, with_target

if TYPE_CHECKING:
    from durable_core.storage.base import StorageAccount
    from durable_core.taskhub.census import Census
    from durable_core.taskhub.scale_report import ScaleReport

app = typer.Typer(no_args_is_help=True)

Name = Annotated[str | None, typer.Argument(help="Name of the hub; the app's if it is left out.")]


@app.command("list")
@with_target
def list_hubs(target: Target, as_json: Json = False) -> None:
    """List the task hubs of the storage account."""

    async def work() -> tuple[str, str, list[tuple[str, int, int]]]:
        from durable_core.taskhub.existing import find_hubs

        async with target.hub() as (hub, _):
            account = hub.account
            names = await find_hubs(account)
            found = await asyncio.gather(*(_size(account, name) for name in names))
            return account.name, hub.names.hub, list(zip(names, *zip(*found, strict=True), strict=True))

    account, own, found = run(work)
    if as_json:
        output.print_json(
            [{"hub": name, "partitions": partitions, "workers": workers} for name, partitions, workers in found]
        )
        return
    output.print_table(
        ["Hub", "Partitions", "Workers", ""],
        [
            (name, str(partitions), str(workers), "this app's" if name == own else "")
            for name, partitions, workers in found
        ],
        right=["Partitions", "Workers"],
    )
    typer.echo(f"{len(found)} hub(s) in storage account '{account}'.")


async def _size(account: StorageAccount, name: str) -> tuple[int, int]:
    """Partitions and workers of a hub."""
    from durable_core.taskhub.existing import owners_of, partitions_of
    from durable_core.taskhub.names import HubNames

    names = HubNames(name)
    owners = await owners_of(account, names)
    return len(await partitions_of(account, names)), len({owner for owner in owners.values() if owner})


@app.command()
@with_target
def show(target: Target, name: Name = None, as_json: Json = False) -> None:
    """Show how a hub is divided, and who owns its partitions."""

    async def work() -> tuple[str, str, Mapping[str, str | None], str | None]:
        from durable_core.taskhub.app_lease import read_info
        from durable_core.taskhub.existing import owners_of, unknown_hub

        async with _named(target, name).hub() as (hub, _):
            owners = await owners_of(hub.account, hub.names)
            if not owners:
                raise await unknown_hub(hub.account, hub.names.hub)
            info = await read_info(hub.account.blobs, hub.names)
            return hub.account.name, hub.names.hub, owners, info.owner_id

    account, hub, owners, app_lease = run(work)
    if as_json:
        output.print_json({"hub": hub, "account": account, "partitions": dict(owners), "appLease": app_lease})
        return
    output.print_pairs(
        [
            ("Hub", hub),
            ("Storage account", account),
            ("Partitions", str(len(owners))),
            ("App lease", app_lease or "nobody's"),
        ]
    )
    typer.echo()
    output.print_table(["Partition", "Owner"], [(queue, owner or "nobody") for queue, owner in owners.items()])


@app.command()
@with_target
def create(
    target: Target,
    name: Name = None,
    partitions: Annotated[
        int | None, typer.Option(min=1, max=16, help="Number of partitions; that of host.json, or 4.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Create a hub; what exists of it is left as it is."""

    async def work() -> tuple[str, int]:
        from dataclasses import replace
        from random import Random

        from durable_core.taskhub.hub import TaskHub

        async with _named(target, name).hub() as (hub, options):
            names = hub.names if partitions is None else replace(hub.names, partition_count=partitions)
            await TaskHub(hub.account, names, Random(), options.management).create()
            return names.hub, names.partition_count

    hub, count = run(work)
    output.done(as_json, f"Task hub '{hub}' is there, with {count} partition(s).", hub=hub, partitions=count)


@app.command()
@with_target
def delete(
    target: Target,
    name: Name = None,
    force: Annotated[bool, typer.Option(help="Also while workers run on it.")] = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Delete a hub with everything in it, for good."""
    hub, removed = delete_hub(_named(target, name), force=force, yes=yes)
    output.done(as_json, f"Task hub '{hub}' is deleted: {len(removed)} resources.", hub=hub, deleted=list(removed))


def delete_hub(target: Target, *, force: bool, yes: bool) -> tuple[str, Sequence[str]]:
    """Ask, and delete a hub that no worker runs on; its name, and what was there."""

    async def look() -> tuple[str, set[str]]:
        from durable_core.taskhub.existing import owners_of, unknown_hub

        async with target.hub() as (hub, _):
            owners = await owners_of(hub.account, hub.names)
            if not owners and not await hub.account.tables.names(hub.names.instances):
                raise await unknown_hub(hub.account, hub.names.hub)
            return hub.names.hub, {owner for owner in owners.values() if owner}

    async def remove() -> Sequence[str]:
        from durable_core.taskhub.existing import delete_hub

        async with target.hub() as (hub, _):
            return await delete_hub(hub.account, hub.names)

    hub, workers = run(look)
    if workers and not force:
        raise failed(
            f"{len(workers)} worker(s) run on task hub '{hub}' ({', '.join(sorted(workers))}): stop them first, or use "
            "`durable hub delete --force`. One that has died lets go within 30 s."
        )
    output.confirm(f"Delete task hub '{hub}' with every instance in it, for good?", yes)
    return hub, run(remove)


@app.command()
@with_target
def stats(
    target: Target,
    interval: Annotated[float, typer.Option(min=0.0, help="Seconds between the samples of the advice.")] = 1.0,
    count: Annotated[bool, typer.Option(help="Count instances by status.")] = True,
    as_json: Json = False,
) -> None:
    """Queue lengths and ages, partition owners, instances by status, and the advice of the scale monitor."""

    async def work() -> tuple[ScaleReport, Census | None]:
        return await _stats(target, interval, count)

    report, census = run(work)
    found, owners = report.sample, report.owners
    if as_json:
        document = report.to_json()
        if census is not None:
            document["instances"] = dict(census.by_status)
            document["entities"] = census.entities
        output.print_json(document)
        return
    output.print_table(
        ["Queue", "Messages", "Oldest", "Owner"],
        [
            (
                item.queue,
                str(item.total),
                output.span(item.latency) if item.latency else "-",
                "every worker" if item is found.work_items else owners.get(item.queue) or "nobody",
            )
            for item in (found.work_items, *found.control)
        ],
        right=["Messages", "Oldest"],
    )
    if census is not None:
        typer.echo()
        rows = [(output.styled(status), str(number)) for status, number in sorted(census.by_status.items())]
        output.print_table(
            ["Instances", "Number"], [*rows, (output.styled("entities"), str(census.entities))], right=["Number"]
        )
    typer.echo()
    typer.echo(f"{report.workers} worker(s) own partitions; the backlog keeps {report.target_workers} busy.")
    typer.echo(f"Advice: {report.advice.action.value}. {report.advice.reason}")


async def _stats(target: Target, interval: float, count: bool) -> tuple[ScaleReport, Census | None]:
    from durable_core.taskhub.census import take_census
    from durable_core.taskhub.scale_report import report_scale

    async with target.hub() as (hub, options):
        with output.progress("Sampling the queues …") as progress:
            report = await report_scale(hub.account, hub.names, options.worker.limits, interval=interval)
            census = None
            if count:
                census = await take_census(hub, told=lambda number: progress.tell(f"{number} instances counted …"))
    return report, census


def _named(target: Target, name: str | None) -> Target:
    return target if name is None else Target(target.root, target.connection, name)
