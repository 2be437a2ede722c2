"""``durable keys``: the keys that a host asks for when others than this machine can reach it."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, redirect_stdout
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from durable_core.cli import output
from durable_core.cli.connection import open_hub, read_options
from durable_core.cli.target import Json, Root, Yes, run
from durable_core.errors import ConfigurationError
from durable_core.host.function_keys import FunctionKeys, FunctionKeyStore
from durable_core.host.indexing import index_functions
from durable_core.host.keys import DEFAULT_KEY, SYSTEM_KEY, HostKeys, KeyStore, host_id, new_key
from durable_core.host.loader import app_functions, load_app

app = typer.Typer(help="Keys of the app's HTTP functions and of the management API.", no_args_is_help=True)

Function = Annotated[str | None, typer.Option("--function", help="Of this function alone.")]
Name = Annotated[str, typer.Argument(help="Name of the key.")]


class Kind(str, Enum):
    """Which key."""

    SYSTEM = "system"
    FUNCTION = "function"
    MASTER = "master"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Shown:
    """The keys of the host, and those of single functions by the function's name."""

    host: HostKeys
    functions: Mapping[str, FunctionKeys] = field(repr=False)


@app.command()
def show(script_root: Root = Path(), function: Function = None, as_json: Json = False) -> None:
    """Show the keys; the host's are made now if the app has none, with --function that function's too."""
    root = script_root.resolve()
    if function is not None:
        wanted = _function_of(root, function)

        async def work() -> FunctionKeys:
            async with _stores(root) as (_, functions):
                return await functions.ensure(wanted)

        _print_function(wanted, run(work), as_json)
        return

    async def all_of_them() -> Shown:
        async with _stores(root) as (host, functions):
            keys = await host.load()
            return Shown(keys, {name: await functions.load(name) for name in await functions.names()})

    _print(run(all_of_them), as_json)


app.command("list", help="The same as show.", hidden=True)(show)


@app.command("set")
def set_key(
    name: Name,
    value: Annotated[str | None, typer.Option(help="The key; made if it is left out.")] = None,
    script_root: Root = Path(),
    function: Function = None,
    as_json: Json = False,
) -> None:
    """Add a function key, or replace the one of that name: of the whole app, or of one function."""
    key = new_key() if value is None else _usable(value)
    _usable(name)
    root = script_root.resolve()
    wanted = None if function is None else _function_of(root, function)

    async def work() -> HostKeys | FunctionKeys:
        async with _stores(root) as (host, functions):
            if wanted is None:
                keys = await host.load()
                changed = replace(keys, functions={**keys.functions, name: key})
                await host.save(changed)
                return changed
            own = {**await functions.load(wanted), name: key}
            await functions.save(wanted, own)
            return own

    _print_changed(wanted, run(work), as_json)


@app.command()
def delete(
    name: Name, script_root: Root = Path(), function: Function = None, yes: Yes = False, as_json: Json = False
) -> None:
    """Take a function key away; running hosts refuse it within half a minute."""
    owner = "the app" if function is None else f"function '{function}'"
    output.confirm(f"Delete the key '{name}' of {owner}? Callers with it stop working.", yes)

    async def work() -> HostKeys | FunctionKeys:
        async with _stores(script_root) as (host, functions):
            if function is None:
                keys = await host.load()
                changed = replace(keys, functions=_without(keys.functions, name, owner))
                await host.save(changed)
                return changed
            own = _without(await functions.load(function), name, owner)
            await functions.save(function, own)
            return own

    _print_changed(function, run(work), as_json)


@app.command()
def renew(
    kind: Annotated[Kind, typer.Argument(help="Which key.")],
    script_root: Root = Path(),
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Replace a key of the host; running hosts take the new one within half a minute, and then refuse the old one."""
    output.confirm(f"Replace the {kind.value} key? Links and callers with the old one stop working.", yes)

    async def work() -> HostKeys:
        async with _stores(script_root) as (host, _):
            keys = renewed(await host.load(), kind)
            await host.save(keys)
            return keys

    _print(Shown(run(work), {}), as_json)


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
async def _stores(root: Path) -> AsyncIterator[tuple[KeyStore, FunctionKeyStore]]:
    async with open_hub(root) as (hub, options):
        owner = host_id(os.environ, options.names.hub)
        yield KeyStore(hub.account.blobs, owner), FunctionKeyStore(hub.account.blobs, owner)


def _function_of(root: Path, name: str) -> str:
    """The name of one of the app's HTTP functions, as the app spells it.

    Args:
        root: absolute: the app is loaded in its folder, and may change the current one.

    Raises:
        typer.BadParameter: the app has no such function.
    """

    async def known() -> list[str]:
        read_options(root)  # puts local.settings.json into the environment, for the app's code too
        with redirect_stdout(sys.stderr):  # standard output is the command's own
            native, _ = app_functions(load_app(root))
        functions = index_functions(native, lenient=True).functions
        return sorted(function.name for function in functions if function.route is not None)

    names = run(known)
    for found in names:
        if found.lower() == name.lower():
            return found
    raise typer.BadParameter(
        f"the app has no HTTP function '{name}'; it has: {', '.join(names) or 'none'}", param_hint="--function"
    )


def _usable(text: str) -> str:
    if text and text.isascii() and text.isprintable() and " " not in text:
        return text
    raise typer.BadParameter("keys and their names are made of visible ASCII characters, one at least")


def _without(keys: FunctionKeys, name: str, owner: str) -> FunctionKeys:
    if name not in keys:
        raise ConfigurationError(f"There is no key '{name}' of {owner}; it has: {', '.join(keys) or 'none'}.")
    return {other: value for other, value in keys.items() if other != name}


def _print_changed(function: str | None, keys: HostKeys | FunctionKeys, as_json: bool) -> None:
    if isinstance(keys, HostKeys):
        _print(Shown(keys, {}), as_json)
    else:
        _print_function(function or "", keys, as_json)


def _print(keys: Shown, as_json: bool) -> None:
    host = keys.host
    if as_json:
        document = {"system": dict(host.systems), "function": dict(host.functions), "master": host.master}
        own = {name: dict(found) for name, found in keys.functions.items()}
        output.print_json({**document, "functions": own} if own else document)
        return
    rows = [*_rows("system", host.systems), *_rows("function", host.functions)]
    for name, found in keys.functions.items():
        rows += _rows(f"function {name}", found)
    _print_rows([*rows, ("master", "", host.master)])


def _print_function(function: str, keys: FunctionKeys, as_json: bool) -> None:
    if as_json:
        output.print_json(dict(keys))
    else:
        _print_rows(_rows(f"function {function}", keys))


def _rows(opens: str, keys: Mapping[str, str]) -> list[tuple[str, str, str]]:
    return [(opens, name, value) for name, value in keys.items()]


def _print_rows(rows: Sequence[tuple[str, str, str]]) -> None:
    output.print_table(["Level", "Name", "Key"], rows)
