"""``durable replay``: would the instances of an exported history still find their way through today's code?"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated

import typer

from durable_core.errors import ConfigurationError, ExportError


def replay(
    history: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="The exported history, JSON.")],
    app: Annotated[Path, typer.Option("--app", exists=True, help="function_app.py, or its folder.")] = Path(),
    instance_id: Annotated[str | None, typer.Option("--instance", help="Only this one of several.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Replay exported histories against the code of an app.

    Exit codes: 0 the code does what is recorded, 1 it diverges, 2 wrong arguments or an export that lacks something.
    """
    from durable_core.host.loader import app_functions, load_app
    from durable_core.host.local_settings import apply_local_settings, read_local_settings
    from durable_core.testing.replaying import replay_histories

    path, file = history.resolve(), app.resolve()
    root = file if file.is_dir() else file.parent
    try:
        apply_local_settings(read_local_settings(root), os.environ)
        _, functions = app_functions(load_app(root, None if file.is_dir() else file.name))
        outcomes = replay_histories(path, functions, instance_id=instance_id)
    except (ConfigurationError, ExportError) as error:
        typer.echo(f"durable: {error}", err=True)
        raise typer.Exit(2) from None
    if as_json:
        documents = []
        for outcome in outcomes:
            found = outcome.divergence
            documents.append(
                {
                    "instanceId": outcome.instance_id,
                    "name": outcome.name,
                    "isSame": outcome.is_same,
                    "status": outcome.status.name,
                    "divergence": found
                    and {
                        "position": found.position,
                        "expected": found.expected,
                        "instead": found.instead,
                        "function": found.function,
                        "hint": found.hint,
                    },
                    "notes": list(outcome.notes),
                }
            )
        typer.echo(json.dumps(documents, indent=2, ensure_ascii=False))
    else:
        for outcome in outcomes:
            typer.echo(str(outcome))
    if not all(outcome.is_same for outcome in outcomes):
        raise typer.Exit(1)
