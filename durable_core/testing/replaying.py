"""Replaying exported histories against today's code: would an instance that is under way still find its way?"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from durable_core.core.history import ExecutionCompleted, ExecutionStarted
from durable_core.core.replay import OrchestrationRun, Orchestrator
from durable_core.errors import ExportError
from durable_core.testing.exports import Export, RowExport, StatusExport, read_exports
from durable_core.testing.replay_outcome import Divergence, ReplayOutcome, concluded, other_end
from durable_core.testing.replay_status import replay_status
from durable_core.worker.functions import Functions, unknown_function


class App(Protocol):
    """An app object, such as ``durable_core.DFApp``."""

    def durable_functions(self) -> Functions: ...


def replay_history(
    history: str | Path | Any,
    app: App | Functions,
    *,
    instance_id: str | None = None,
    blobs: Mapping[str, str] | None = None,
) -> ReplayOutcome:
    """Replay the exported history of one instance against the code of ``app``.

    Args:
        history: a file, or its parsed JSON (see ``read_exports``).
        app: the app object, or its durable functions.
        instance_id: which instance, if the export has several.
        blobs: texts of the blobs that hold large columns of rows, by blob name.

    Returns:
        Whether, and if not where, the code diverges. Nothing is run but the orchestrator.

    Raises:
        ExportError: the export cannot be read, lacks what is needed, or does not tell which instance is meant.
    """
    outcomes = replay_histories(history, app, instance_id=instance_id, blobs=blobs)
    if len(outcomes) != 1:
        names = ", ".join(f"'{outcome.instance_id}'" for outcome in outcomes[:10])
        raise ExportError(f"The export has {len(outcomes)} instances ({names}, …); name one of them.")
    return outcomes[0]


def replay_histories(
    history: str | Path | Any,
    app: App | Functions,
    *,
    instance_id: str | None = None,
    blobs: Mapping[str, str] | None = None,
) -> list[ReplayOutcome]:
    """As ``replay_history``, for every orchestration in the export."""
    functions = app if isinstance(app, Functions) else app.durable_functions()
    exports = read_exports(history, blobs=blobs)
    if instance_id is not None:
        exports = [export for export in exports if export.instance_id == instance_id]
        if not exports:
            raise ExportError(f"The export has no instance '{instance_id}'.")
    return [_replay(export, functions) for export in exports]


def _replay(export: Export, functions: Functions) -> ReplayOutcome:
    name = _name(export)
    orchestrator = functions.orchestrator(name)
    if orchestrator is None:
        missing = Divergence(
            0,
            f"the orchestrator '{name}'",
            "nothing",
            name,
            unknown_function("orchestrator", name, functions.orchestrators),
        )
        return ReplayOutcome(export.instance_id, name, missing)
    if isinstance(export, StatusExport):
        return replay_status(export, orchestrator)
    return _replay_rows(export, orchestrator)


def _name(export: Export) -> str:
    if isinstance(export, StatusExport):
        return export.name
    return next(event.name for event in export.events if isinstance(event, ExecutionStarted))


def _replay_rows(export: RowExport, orchestrator: Orchestrator) -> ReplayOutcome:
    run = OrchestrationRun(orchestrator, export.events)
    divergence: Divergence | None = None
    end: ExecutionCompleted | None = None
    for position, event in enumerate(export.events):
        if isinstance(event, ExecutionCompleted):
            end = event
            divergence = other_end(run, event.status, event.result, position)
            break
        run.feed([event], replaying=True)
        if run.mismatch is not None:
            divergence = Divergence.of(run.mismatch, position)
            break
    outcome = ReplayOutcome(export.instance_id, orchestrator.name, divergence)
    outcome = concluded(outcome, run, end.result if end is not None else None, has_ended=end is not None)
    run.close()
    return outcome
