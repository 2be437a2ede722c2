"""Arguments of commands that are read before anything is asked of storage."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from durable_core.core import ticks

if TYPE_CHECKING:
    from durable_core.core.history import OrchestrationStatus
    from durable_core.taskhub.instance_query import InstanceFilter


def instance_filter(
    statuses: Sequence[str] | None, created_from: str | None, created_to: str | None, prefix: str = ""
) -> InstanceFilter:
    """The filter that the options of ``list`` and ``purge`` describe."""
    from durable_core.taskhub.instance_query import InstanceFilter

    return InstanceFilter(moment(created_from), moment(created_to), statuses_of(statuses or ()), prefix)


def purge_filter(
    statuses: Sequence[str] | None, created_from: str | None, created_to: str | None, prefix: str = ""
) -> InstanceFilter:
    """The same for a purge."""
    try:
        return instance_filter(statuses, created_from, created_to, prefix).finished()
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def statuses_of(names: Sequence[str]) -> list[OrchestrationStatus]:
    """Statuses by name, in any case; several may stand in one text."""
    from durable_core.core.history import OrchestrationStatus

    known = {status.name.lower(): status for status in OrchestrationStatus}
    words = [word for name in names for word in name.replace(",", " ").split()]
    unknown = [word for word in words if word.lower() not in known]
    if unknown:
        raise typer.BadParameter(
            f"{', '.join(unknown)}: use {', '.join(status.name for status in OrchestrationStatus)}"
        )
    return [known[word.lower()] for word in words]


def moment(text: str | None) -> int | None:
    """Ticks of a date, or of a date and time in UTC."""
    if text is None:
        return None
    try:
        return ticks.parse(text if "T" in text or " " in text.strip() else f"{text}T00:00:00Z")
    except ValueError as error:
        raise typer.BadParameter(f"{error}; write 2026-01-31 or 2026-01-31T12:00:00Z") from None


def json_text(value: str | None) -> str | None:
    """JSON text, given as it is or as ``@FILE``."""
    if value is None:
        return None
    try:
        return json.dumps(json.loads(text_of(value)), ensure_ascii=False, separators=(",", ":"))
    except (ValueError, RecursionError) as error:
        raise typer.BadParameter(f"{value!r} is no JSON ({error}); a text needs quotes: '\"text\"'") from None


def text_of(value: str) -> str:
    """A text, or what is in the file that ``@FILE`` names."""
    if not value.startswith("@"):
        return value
    try:
        return Path(value[1:]).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise typer.BadParameter(f"{value[1:]} cannot be read: {error}") from None
