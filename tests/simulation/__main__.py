"""``python -m tests.simulation``: more seeds than the tests run, with progress; ``--plan`` repeats a shrunk failure."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from tests.simulation.plan import Plan
from tests.simulation.seeds import Failure, end_at_once, make_pool, report, run_seeds
from tests.simulation.shrinking import failure

_SHRUNK = 3
"""Failures that are shrunk; the others are only named."""


def main(
    seeds: Annotated[int, typer.Option(help="How many seeds to run.", min=1)] = 1000,
    first: Annotated[int, typer.Option(help="The first of them.", min=0)] = 0,
    jobs: Annotated[int | None, typer.Option(help="Processes; all processors if it is left out.", min=1)] = None,
    plan: Annotated[Path | None, typer.Option(help="Run the plan in this file instead.", exists=True)] = None,
    folder: Annotated[Path, typer.Option(help="Where plans of failures are kept.", file_okay=False)] = Path(),
) -> None:
    """Simulate workers that crash, and check that nothing is lost."""
    if plan is not None:
        wrong = failure(Plan.from_json(plan.read_text()))
        typer.echo(wrong or "The plan passes.")
        raise typer.Exit(1 if wrong else 0)
    failures: list[Failure] = []
    done = 0
    began = time.monotonic()
    pool = make_pool(jobs)
    try:
        typer.echo("  0 %", nl=False)
        for count, found in run_seeds(range(first, first + seeds), pool):
            done += count
            failures += found
            for failed in found:
                typer.echo(f"\rSeed {failed.seed} fails: {failed.text[:200]}")
            typer.echo(f"\r{100 * done // seeds:3d} %  {done} seeds, {len(failures)} failed", nl=False)
        _tell(done, began, failures)
        for told in [pool.submit(report, failed, folder) for failed in failures[:_SHRUNK]]:
            typer.echo(told.result())
    except KeyboardInterrupt:
        end_at_once()
        typer.echo("\nStopped.")
        _tell(done, began, failures)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    raise typer.Exit(1 if failures else 0)


def _tell(done: int, began: float, failures: Sequence[Failure]) -> None:
    typer.echo(f"\n{done} seeds in {time.monotonic() - began:.0f} s, {len(failures)} failed.")
    if failures:
        typer.echo(f"Failing seeds: {' '.join(str(failed.seed) for failed in failures)}")


if __name__ == "__main__":
    typer.run(main)
