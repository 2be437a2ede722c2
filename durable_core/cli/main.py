"""The ``durable`` command. Heavy modules are imported by the command that needs them, so that each one starts fast."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import typer

from durable_core import __version__
from durable_core.errors import ConfigurationError, StorageError

app = typer.Typer(
    help="Durable Functions in pure Python.",
    add_completion=True,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"durable_core {__version__}")
        raise typer.Exit


@app.callback()
def common(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Options of all commands."""


@app.command()
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
) -> None:
    """Run an app: HTTP and timer functions, orchestrations and activities."""
    from durable_core.host.app_host import HostArguments, run_host

    arguments = HostArguments(script_root, port, host, lenient, azurite, auth, allow_host or ())
    try:
        code = asyncio.run(run_host(arguments))
    except KeyboardInterrupt:
        code = 130
    raise typer.Exit(code)


def _add_groups(words: list[str]) -> None:
    """Groups of commands are imported when they, or the list of all commands, are asked for."""
    wanted = words[0] if words else "--help"
    if wanted in ("instances", "--help"):
        from durable_core.cli import instances

        app.add_typer(instances.app, name="instances")
    if wanted in ("poison", "--help"):
        from durable_core.cli import poison

        app.add_typer(poison.app, name="poison")
    if wanted in ("keys", "--help"):
        from durable_core.cli import keys

        app.add_typer(keys.app, name="keys")
    if wanted in ("hub", "--help"):
        from durable_core.cli import hub

        app.add_typer(hub.app, name="hub")

    if wanted in ("check", "--help"):
        from durable_core.cli import check

        app.command()(check.check)


def main() -> None:
    """Entry point: errors of configuration are one clear message and exit code 1."""
    _add_groups(sys.argv[1:2])
    try:
        app()
    except (ConfigurationError, StorageError) as error:
        print(f"durable: {error}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
