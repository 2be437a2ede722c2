"""``durable keys``: the keys that a host asks for when others than this machine can reach it."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from durable_core.cli import output
from durable_core.cli.connection import open_hub
from durable_core.host.keys import DEFAULT_KEY, SYSTEM_KEY, HostKeys, KeyStore, host_id, new_key

app = typer.Typer(help="Keys of the app's HTTP functions and of the management API.", no_args_is_help=True)

Root = Annotated[Path, typer.Option("--script-root", help="Folder of the app.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


class Kind(str, Enum):
    """Which key."""

    SYSTEM = "system"
    FUNCTION = "function"
    MASTER = "master"
    ALL = "all"


@app.command()
def show(script_root: Root = Path(), as_json: Json = False) -> None:
    """Show the keys; they are made now if the app has none."""

    async def work() -> HostKeys:
        async with _store(script_root) as store:
            return await store.load()

    _print(asyncio.run(work()), as_json)


@app.command()
def renew(
    kind: Annotated[Kind, typer.Argument(help="Which key.")],
    script_root: Root = Path(),
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """Replace a key; running hosts take the new one within half a minute, and then refuse the old one."""
    output.confirm(f"Replace the {kind.value} key? Links and callers with the old one stop working.", yes)

    async def work() -> HostKeys:
        async with _store(script_root) as store:
            keys = renewed(await store.load(), kind)
            await store.save(keys)
            return keys

    _print(asyncio.run(work()), as_json)


def renewed(keys: HostKeys, kind: Kind) -> HostKeys:
    """The same keys but for the named one; other systems' and further function keys stay."""
    if kind in (Kind.MASTER, Kind.ALL):
        keys = replace(keys, master=new_key())
    if kind in (Kind.FUNCTION, Kind.ALL):
        keys = replace(keys, functions={**keys.functions, DEFAULT_KEY: new_key()})
    if kind in (Kind.SYSTEM, Kind.ALL):
        keys = replace(keys, systems={**keys.systems, SYSTEM_KEY: new_key()})
    return keys


@asynccontextmanager
async def _store(root: Path) -> AsyncIterator[KeyStore]:
    async with open_hub(root) as (hub, options):
        yield KeyStore(hub.account.blobs, host_id(os.environ, options.names.hub))


def _print(keys: HostKeys, as_json: bool) -> None:
    if as_json:
        document = {"system": dict(keys.systems), "function": dict(keys.functions), "master": keys.master}
        typer.echo(json.dumps(document, indent=2))
        return
    for name, value in keys.systems.items():
        typer.echo(f"{'system':<9} {name:<22} {value}")
    for name, value in keys.functions.items():
        typer.echo(f"{'function':<9} {name:<22} {value}")
    typer.echo(f"{'master':<9} {'':<22} {keys.master}")
