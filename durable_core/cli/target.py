"""Which hub a command is about, and running the command's work on it.

Nothing heavy is imported before the work begins: help and completion answer at once.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from durable_core.errors import DurableError, HubNotFoundError, NotFoundError

if TYPE_CHECKING:
    from durable_core.host.options import DurableOptions
    from durable_core.taskhub.hub import TaskHub
    from durable_core.text_client import TextClient

T = TypeVar("T")

INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class Target:
    """What the options say.

    Attributes:
        connection, task_hub: None for what the app's host.json says.
    """

    root: Path = Path()
    connection: str | None = None
    task_hub: str | None = None

    @asynccontextmanager
    async def hub(self) -> AsyncIterator[tuple[TaskHub, DurableOptions]]:
        """The hub as it is configured; it may not exist."""
        from durable_core.cli.connection import open_hub

        if not self.root.is_dir():
            raise typer.BadParameter(f"{self.root} is no folder", param_hint="--script-root")
        async with open_hub(self.root, self.connection, self.task_hub) as opened:
            yield opened

    @asynccontextmanager
    async def client(self) -> AsyncIterator[TextClient]:
        """A client that may send to the hub: the hub itself tells how it is divided.

        Raises:
            HubNotFoundError: there is no such hub.
        """
        from random import Random

        from durable_core.taskhub.existing import partitions_of
        from durable_core.taskhub.hub import TaskHub
        from durable_core.text_client import TextClient

        async with self.hub() as (hub, options):
            partitions = await partitions_of(hub.account, hub.names)
            if not partitions:
                raise await self._unknown(hub)
            names = replace(hub.names, partition_count=len(partitions))
            yield TextClient(
                TaskHub(hub.account, names, Random(), options.management),
                random=Random(),
                replaceable=options.replaceable,
                default_version=options.default_version,
            )

    @asynccontextmanager
    async def reader(self) -> AsyncIterator[TextClient]:
        """A client that sends no messages: no call is spent on how the hub is divided.

        Raises:
            HubNotFoundError: there is no such hub.
        """
        from random import Random

        from durable_core.text_client import TextClient

        async with self.hub() as (hub, _):
            try:
                yield TextClient(hub, random=Random())
            except NotFoundError as error:
                if not await hub.account.tables.names(hub.names.instances):
                    raise await self._unknown(hub) from error
                raise

    async def _unknown(self, hub: TaskHub) -> HubNotFoundError:
        from durable_core.taskhub.existing import unknown_hub

        return await unknown_hub(hub.account, hub.names.hub)


Root = Annotated[Path, typer.Option("--script-root", help="Folder of the app.")]
Connection = Annotated[str | None, typer.Option("--connection", help="Name of another connection setting.")]
Hub = Annotated[str | None, typer.Option("--task-hub", help="Another task hub.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def with_target(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command, whose first parameter is a ``Target``, the options that name one."""
    hints = inspect.get_annotations(command, eval_str=True)
    own = list(inspect.signature(command).parameters.values())[1:]
    kind = inspect.Parameter.KEYWORD_ONLY
    shown = [parameter.replace(annotation=hints[parameter.name], kind=kind) for parameter in own]
    added = [
        inspect.Parameter("script_root", kind, default=Path(), annotation=Root),
        inspect.Parameter("connection", kind, default=None, annotation=Connection),
        inspect.Parameter("task_hub", kind, default=None, annotation=Hub),
    ]

    @functools.wraps(command)
    def run_command(script_root: Path, connection: str | None, task_hub: str | None, **options: Any) -> None:
        command(Target(script_root, connection, task_hub), **options)

    wrapper: Any = run_command
    del wrapper.__wrapped__
    wrapper.__signature__ = inspect.Signature([*shown, *added])
    wrapper.__annotations__ = {parameter.name: parameter.annotation for parameter in (*shown, *added)}
    return run_command


def run(work: Callable[[], Awaitable[T]]) -> T:
    """Run a command's work; what it raises becomes a line on standard error and an exit code."""

    async def main() -> T:
        return await work()

    try:
        return asyncio.run(main())
    except DurableError as error:
        raise failed(str(error)) from None
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None


def run_client(target: Target, work: Callable[[TextClient], Awaitable[T]]) -> T:
    """``run`` with a client that may send."""

    async def connected() -> T:
        async with target.client() as client:
            return await work(client)

    return run(connected)


def run_reader(target: Target, work: Callable[[TextClient], Awaitable[T]]) -> T:
    """``run`` with a client that sends no messages."""

    async def connected() -> T:
        async with target.reader() as client:
            return await work(client)

    return run(connected)


def failed(message: str) -> typer.Exit:
    """Say what went wrong on standard error; the exit to be raised."""
    typer.echo(f"durable: {message}", err=True)
    return typer.Exit(1)
