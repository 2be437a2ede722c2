"""``durable hub``: what a task hub has to do, and how many workers it could use."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Annotated

import typer

from durable_core.cli.connection import open_hub
from durable_core.taskhub.scale import SAMPLES, HubSample, Recommendation, ScaleMonitor, sample, target_workers

app = typer.Typer(help="The task hub.", no_args_is_help=True)


@app.callback()
def common() -> None:
    """The task hub."""


@app.command()
def stats(
    script_root: Annotated[Path, typer.Option(help="Folder of the app.")] = Path(),
    interval: Annotated[float, typer.Option(min=0.0, help="Seconds between the samples of the advice.")] = 1.0,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Queue lengths, ages, and the advice of the scale monitor."""
    found, workers, advice, target = asyncio.run(_stats(script_root, interval))
    queues = [found.work_items, *found.control]
    if as_json:
        document = {
            "queues": [
                {"queue": item.queue, "messages": item.total, "ageInSeconds": round(item.latency, 3)} for item in queues
            ],
            "workers": workers,
            "targetWorkers": target,
            "recommendation": {
                "action": advice.action.value,
                "reason": advice.reason,
                "keepWorkersAlive": advice.keep_alive,
            },
        }
        typer.echo(json.dumps(document, indent=2))
        return
    width = max(len(item.queue) for item in queues)
    for item in queues:
        typer.echo(f"{item.queue:<{width}}  {item.total:>7} messages  first visible for {item.latency:.1f} s")
    typer.echo(f"{workers} worker(s) own partitions; the backlog keeps {target} busy.")
    typer.echo(f"Advice: {advice.action.value}. {advice.reason}")


async def _stats(root: Path, interval: float) -> tuple[HubSample, int, Recommendation, int]:
    async with open_hub(root) as (hub, options):
        monitor = ScaleMonitor(options.worker.max_polling_interval)
        for number in range(SAMPLES):
            if number:
                await asyncio.sleep(interval)
            found = await sample(hub.account, hub.names)
            monitor.add(found)
        workers = len(await hub.owners())
    target = target_workers(
        found,
        max_activities=options.worker.max_concurrent_activities,
        max_orchestrators=options.worker.max_concurrent_orchestrators,
    )
    return found, workers, monitor.recommend(workers), target
