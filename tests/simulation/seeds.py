"""Many seeds on all processors; a failing one is shrunk."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from tests.simulation.plan import random_plan
from tests.simulation.shrinking import failure, shrink

CHUNK = 10


@dataclass(frozen=True)
class Failure:
    """A seed that failed, and how."""

    seed: int
    text: str


def run_chunk(seeds: Sequence[int]) -> list[Failure]:
    """Run some seeds in this process."""
    found = [(seed, failure(random_plan(seed))) for seed in seeds]
    return [Failure(seed, text) for seed, text in found if text is not None]


def run_seeds(seeds: Sequence[int], pool: ProcessPoolExecutor) -> Iterator[tuple[int, list[Failure]]]:
    """How many were run, and those of them that failed, chunk by chunk."""
    chunks = [seeds[begin : begin + CHUNK] for begin in range(0, len(seeds), CHUNK)]
    started: dict[Future[list[Failure]], int] = {pool.submit(run_chunk, chunk): len(chunk) for chunk in chunks}
    try:
        for done in as_completed(started):
            yield started[done], done.result()
    finally:
        for waiting in started:
            waiting.cancel()


def make_pool(jobs: int | None) -> ProcessPoolExecutor:
    """Processes that leave Ctrl+C to this one."""
    return ProcessPoolExecutor(jobs, initializer=signal.signal, initargs=(signal.SIGINT, signal.SIG_IGN))


def end_at_once() -> None:
    """End the processes of all pools in the middle of their seeds."""
    for process in multiprocessing.active_children():
        process.terminate()


def report(failed: Failure, folder: Path, *, tries: int = 400) -> str:
    """Shrink a failure, keep its plan in a file, and tell how to repeat both."""
    plan = shrink(random_plan(failed.seed), tries=tries)
    file = folder / f"simulation-{failed.seed}.json"
    file.write_text(plan.to_json())
    steps = sum(len(life.program) for instance in plan.instances for life in instance.lives)
    return (
        f"Seed {failed.seed} fails: {failed.text[:600]}\n"
        f"  repeat it:    python -m tests.simulation --first {failed.seed} --seeds 1\n"
        f"  shrunk to {len(plan.instances)} instance(s), {steps} step(s), {len(plan.faults)} fault(s), "
        f"{plan.workers} worker(s): {(failure(plan) or 'passes now')[:300]}\n"
        + "".join(f"    {instance}\n" for instance in plan.instances)
        + "".join(f"    {fault}\n" for fault in plan.faults)
        + f"  repeat that:  python -m tests.simulation --plan {file}"
    )
