"""``durable poison``: messages that were set aside, to be listed, looked at, put back or deleted."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from durable_core.cli.connection import open_hub
from durable_core.core import ticks
from durable_core.taskhub.poison import PoisonMessage, PoisonStore

T = TypeVar("T")

app = typer.Typer(help="Messages that kept failing and were set aside.", no_args_is_help=True)

Root = Annotated[Path, typer.Option("--script-root", help="Folder of the app.")]
Id = Annotated[str, typer.Argument(help="Id of the message, as listed.")]


@app.command("list")
def list_messages(script_root: Root = Path(), as_json: Annotated[bool, typer.Option("--json")] = False) -> None:
    """List the messages, oldest first."""
    found = _with_store(script_root, lambda store: store.list())
    if as_json:
        typer.echo(json.dumps([_document(message) for message in found], indent=2, ensure_ascii=False))
        return
    for message in found:
        typer.echo(f"{message.id}  {message.queue}  {_what(message)}  received {message.dequeue_count} times")
        typer.echo(f"    {message.reason}")
    typer.echo(f"{len(found)} message(s).")


@app.command()
def show(message_id: Id, script_root: Root = Path()) -> None:
    """Show one message, its text included."""
    found = _with_store(script_root, lambda store: store.get(message_id))
    if found is None:
        raise _unknown(message_id)
    typer.echo(json.dumps(_document(found), indent=2, ensure_ascii=False))


@app.command()
def retry(message_id: Id, script_root: Root = Path()) -> None:
    """Put a message back into its queue, as new."""
    if not _with_store(script_root, lambda store: store.retry(message_id)):
        raise _unknown(message_id)
    typer.echo(f"{message_id} is back in its queue.")


@app.command()
def delete(message_id: Id, script_root: Root = Path()) -> None:
    """Delete a message for good. The instance that it was for may wait for it for ever."""
    if not _with_store(script_root, lambda store: store.delete(message_id)):
        raise _unknown(message_id)
    typer.echo(f"{message_id} is deleted.")


def _with_store(root: Path, work: Callable[[PoisonStore], Awaitable[T]]) -> T:
    async def run() -> T:
        async with open_hub(root) as (hub, _):
            return await work(hub.poison)

    return asyncio.run(run())


def _unknown(message_id: str) -> typer.Exit:
    typer.echo(
        f"durable: no message was set aside under the id {message_id}; `durable poison list` shows them.", err=True
    )
    return typer.Exit(1)


def _what(message: PoisonMessage) -> str:
    work = message.decoded.task_message if message.decoded is not None else None
    if work is None:
        return "unreadable"
    return f"{type(work.event).__name__} for '{work.target.instance_id}'"


def _document(message: PoisonMessage) -> dict[str, Any]:
    return {
        "id": message.id,
        "queue": message.queue,
        "message": _what(message),
        "reason": message.reason,
        "dequeueCount": message.dequeue_count,
        "insertedTime": ticks.format_column(message.inserted),
        "setAsideTime": ticks.format_column(message.set_aside),
        "text": message.text,
    }
