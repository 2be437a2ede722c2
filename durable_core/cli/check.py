"""``durable check``: what orchestrators must not do, found without running them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from durable_core.check.files import check_path


def check(
    path: Annotated[Path, typer.Argument(exists=True, help="Folder of the app, or one file.")] = Path(),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Also logging that a replay repeats, and comments without effect.")
    ] = False,
) -> None:
    """Look for code that a replay would repeat, or find changed. Exit code 1: something was found.

    Nothing is imported or run. A comment `# durable: ignore[rule]` switches a finding off.
    """
    found = check_path(path, strict=strict)
    if as_json:
        typer.echo(json.dumps([finding.document() for finding in found], indent=2, ensure_ascii=False))
    else:
        for finding in found:
            typer.echo(str(finding))
        files = len({finding.path for finding in found})
        typer.echo(f"{len(found)} finding(s) in {files} file(s)." if found else "Nothing found.", err=True)
    if found:
        raise typer.Exit(1)
