"""``durable poison``: messages that were set aside, to be listed, looked at, put back or deleted."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from durable_core.cli import output
from durable_core.cli.target import Json, Target, Yes, failed, run, with_target

if TYPE_CHECKING:
    from durable_core.taskhub.poison import PoisonMessage, PoisonStore

T = TypeVar("T")

app = typer.Typer(no_args_is_help=True)

Id = Annotated[str, typer.Argument(help="Id of the message, as listed.")]


@app.command("list")
@with_target
def list_messages(target: Target, as_json: Json = False) -> None:
    """List the messages, oldest first."""
    found, now = _with_store(target, lambda store: store.list())
    if as_json:
        output.print_json([_document(message) for message in found])
        return
    output.print_table(
        ["Id", "Queue", "Message", "Set aside", "Tries", "Why"],
        [
            (
                message.id,
                message.queue,
                _what(message),
                output.ago(message.set_aside, now),
                str(message.dequeue_count),
                output.one_line(message.reason, 200),
            )
            for message in found
        ],
        right=["Tries"],
    )
    typer.echo(f"{len(found)} message(s).")


@app.command()
@with_target
def show(target: Target, message_id: Id, as_json: Json = False) -> None:
    """Show one message, its text included."""
    found, now = _with_store(target, lambda store: store.get(message_id))
    if found is None:
        raise _unknown(message_id)
    if as_json:
        output.print_json(_document(found))
        return
    output.print_pairs(
        [
            ("Id", found.id),
            ("Queue", found.queue),
            ("Message", _what(found)),
            ("Why", found.reason),
            ("Received", f"{found.dequeue_count} time(s)"),
            ("Put", f"{output.exact(found.inserted)}  ({output.ago(found.inserted, now)})"),
            ("Set aside", f"{output.exact(found.set_aside)}  ({output.ago(found.set_aside, now)})"),
            ("Text", found.text),
        ]
    )


@app.command()
@with_target
def retry(target: Target, message_id: Id, as_json: Json = False) -> None:
    """Put a message back into its queue, as new."""
    is_back, _ = _with_store(target, lambda store: store.retry(message_id))
    if not is_back:
        raise _unknown(message_id)
    output.done(as_json, f"{message_id} is back in its queue.", id=message_id, requested="retry")


@app.command()
@with_target
def delete(target: Target, message_id: Id, yes: Yes = False, as_json: Json = False) -> None:
    """Delete a message for good. The instance that it was for may wait for it for ever."""
    found, _ = _with_store(target, lambda store: store.get(message_id))
    if found is None:
        raise _unknown(message_id)
    output.confirm(f"Delete {message_id} ({_what(found)}) for good?", yes)
    _with_store(target, lambda store: store.delete(message_id))
    output.done(as_json, f"{message_id} is deleted.", id=message_id, requested="delete")


def _with_store(target: Target, work: Callable[[PoisonStore], Awaitable[T]]) -> tuple[T, int]:
    """What the work finds, and the time on storage's clock."""

    async def connected() -> tuple[T, int]:
        from durable_core.taskhub.existing import partitions_of, unknown_hub

        async with target.hub() as (hub, _):
            if not await partitions_of(hub.account, hub.names):
                raise await unknown_hub(hub.account, hub.names.hub)
            return await work(hub.poison), hub.now()

    return run(connected)


def _unknown(message_id: str) -> typer.Exit:
    return failed(f"No message was set aside under the id {message_id}; `durable poison list` shows them.")


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
        "insertedTime": output.exact(message.inserted),
        "setAsideTime": output.exact(message.set_aside),
        "text": message.text,
    }
