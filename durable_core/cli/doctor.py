"""``durable doctor``: is everything in order with storage, the task hub and its instances?"""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING, Annotated, Any

import typer

from durable_core import __version__
from durable_core.cli import output
from durable_core.cli.target import Json, Target, run, with_target

if TYPE_CHECKING:
    from durable_core.taskhub.diagnosis import Finding
    from durable_core.taskhub.stuck import Stuck

_PACKAGES = ("azure-functions", "azure-storage-queue", "azure-storage-blob", "azure-data-tables", "aiohttp")
_MARKS = {"ok": "✓", "warning": "!", "problem": "✗"}


@with_target
def doctor(
    target: Target,
    unmoved: Annotated[
        float, typer.Option(min=0, help="Minutes after which a live instance that did nothing is looked into.")
    ] = 10.0,
    top: Annotated[int, typer.Option(min=1, help="Look into at most this many of them.")] = 20,
    as_json: Json = False,
) -> None:
    """Check storage, clock, versions, task hub, queues, poison messages, blobs and stuck instances.

    Exit code 1 if there is a problem.
    """

    async def work() -> tuple[list[Finding], list[Stuck], int]:
        from durable_core.cli.event_names import AppEvents
        from durable_core.taskhub.diagnosis import diagnose

        async with target.hub() as (hub, _):
            events = AppEvents(target.root)
            with output.progress("Looking …"):
                findings, stuck = await diagnose(hub, unmoved=unmoved * 60, most=top, events=events)
            return findings, stuck, hub.now()

    findings, stuck, now = run(work)
    versions = _versions()
    if as_json:
        output.print_json(
            {
                "versions": versions,
                "checks": [
                    {
                        "check": finding.check,
                        "level": finding.level.value,
                        "text": finding.text,
                        "details": list(finding.details),
                    }
                    for finding in findings
                ],
                "instances": [_document(item) for item in stuck],
            }
        )
    else:
        _print(findings, stuck, versions, now)
    if any(finding.level.value == "problem" for finding in findings):
        raise typer.Exit(1)


def _print(findings: list[Finding], stuck: list[Stuck], versions: dict[str, str], now: int) -> None:
    rows: list[tuple[str | output.Cell, str, str | output.Cell]] = [
        ("", "versions", ", ".join(f"{name} {number}" for name, number in versions.items()))
    ]
    for finding in findings:
        level = finding.level.value
        rows.append((output.styled(_MARKS[level], level), finding.check, finding.text))
        rows += [("", "", f"  {detail}") for detail in finding.details]
    output.print_table(["", "Check", "Finding"], rows)
    if not stuck:
        return
    typer.echo()
    output.print_table(
        ["Status", "Unmoved", "Instance", "Waits for", "Since", ""],
        [
            (
                output.styled(item.status.runtime_status.name) if first else "",
                output.span((now - (item.status.last_updated_time or now)) / 10_000_000) if first else "",
                item.status.instance_id if first else "",
                reason.text,
                output.ago(reason.since, now),
                output.styled(reason.trouble or "", "problem"),
            )
            for item in stuck
            for first, reason in zip((True, *([False] * len(item.reasons))), item.reasons, strict=False)
        ],
    )


def _versions() -> dict[str, str]:
    from importlib.metadata import PackageNotFoundError, version

    found = {"durable_core": __version__, "Python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "missing"
    return found


def _document(item: Stuck) -> dict[str, Any]:
    return {
        "instanceId": item.status.instance_id,
        "name": item.status.name,
        "runtimeStatus": item.status.runtime_status.name,
        "lastUpdatedTime": output.exact(item.status.last_updated_time),
        "waitsFor": [
            {"what": reason.text, "since": output.exact(reason.since), "trouble": reason.trouble}
            for reason in item.reasons
        ],
    }
