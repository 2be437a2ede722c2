"""The ``durable`` command. Heavy modules are imported by the command that needs them, so that each one starts fast."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, Any

import typer

from durable_core import __version__
from durable_core.errors import ConfigurationError, StorageError


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"durable_core {__version__}")
        raise typer.Exit


def common(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Options of all commands."""


def start(
    script_root: Annotated[Path, typer.Option(help="Folder of the app.")] = Path(),
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port to listen on; 7071 if unset.")] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on; 127.0.0.1 if unset.")] = None,
    lenient: Annotated[bool, typer.Option(help="Leave out functions with unsupported bindings.")] = False,
    azurite: Annotated[bool, typer.Option(help="Start Azurite if the app needs it and none runs.")] = True,
    auth: Annotated[
        bool | None,
        typer.Option("--auth/--no-auth", help="Ask for keys; if unset, on every address but a loopback one."),
    ] = None,
    allow_host: Annotated[
        list[str] | None, typer.Option(help="Another name of a host that listens on a loopback address; repeatable.")
    ] = None,
    reload: Annotated[bool, typer.Option(help="Load the app again when a *.py file or host.json changes.")] = True,
) -> None:
    """Run an app: HTTP, timer and queue functions, orchestrations, activities and entities."""
    from durable_core.host.emulator import Emulator
    from durable_core.host.reload import RELOAD, Restart
    from durable_core.worker.garbage import do_not_collect

    do_not_collect()
    restart = Restart() if reload else None
    emulator = Emulator()
    if azurite:
        emulator.begin_for(script_root.resolve(), os.environ)
    from durable_core.host.app_host import HostArguments, run_host  # takes a while, in which the emulator starts

    if restart is not None and restart.is_reload:
        port = restart.port
    arguments = HostArguments(script_root, port, host, lenient, azurite, auth, allow_host or ())
    try:
        code = asyncio.run(run_host(arguments, restart, emulator))
    except KeyboardInterrupt:
        code = 130
    if restart is not None and code == RELOAD:
        restart.now()
    raise typer.Exit(code)


_GROUPS = {
    "instances": "Orchestration instances.",
    "entities": "Entities.",
    "hub": "Task hubs.",
    "poison": "Messages that kept failing and were set aside.",
    "keys": "Keys of the app's HTTP functions and of the management API.",
}
"""Groups of commands with their help; the module of this package with the group's name has its ``app``."""

_COMMANDS = ("check", "doctor", "replay")
"""Single commands; the module of this package with the command's name has a function of that name."""

_ALIASES = "func_durable"
"""The module with the commands of ``func durable``."""


def app_for(words: Sequence[str]) -> typer.Typer:
    """The command with what this command line needs: other modules are not imported.

    Args:
        words: the command line behind ``durable``.
    """
    app = typer.Typer(
        help="Durable Functions in pure Python.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    app.callback()(common)
    app.command()(start)
    wanted = words[0] if words else "--help"
    shows_all = wanted.startswith("-")
    for name in _COMMANDS:
        if shows_all or wanted == name:
            app.command()(getattr(_module(name), name))
    for name, told in _GROUPS.items():
        if shows_all or wanted == name:
            app.add_typer(_module(name).app if wanted == name else typer.Typer(), name=name, help=told)
    if wanted not in (*_COMMANDS, *_GROUPS, "start"):
        # Somebody used to `func durable start-new` may write `durable start-new`, or put `durable` for `func`.
        aliases: typer.Typer = _module(_ALIASES).app
        app.registered_commands.extend(aliases.registered_commands)
        app.add_typer(aliases, name="durable", hidden=True)
    return app


def _module(name: str) -> Any:
    return import_module(f"durable_core.cli.{name}")


def _words(environ: Mapping[str, str]) -> list[str]:
    """The command line; while a shell asks how it could go on, the one that it has so far."""
    if "_DURABLE_COMPLETE" not in environ:
        return sys.argv[1:]
    line = environ.get("_TYPER_COMPLETE_ARGS") or environ.get("COMP_WORDS") or ""
    words = line.split()[1:]
    is_first_word_complete = len(words) > 1 or line[-1:].isspace()
    return words if is_first_word_complete else []


def main() -> None:
    """Entry point: errors of configuration are one clear message and exit code 1."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # a console or pipe without Unicode
    try:
        app_for(_words(os.environ))(prog_name="durable")
    except (ConfigurationError, StorageError) as error:
        print(f"durable: {error}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
