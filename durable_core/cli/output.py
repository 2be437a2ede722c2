"""What commands print: tables, times and colours for people, JSON for scripts.

Colours and widths belong to a terminal; into a file or pipe goes plain text, one line a row, nothing cut. Tables are
laid out here: importing a library for them takes longer than most commands.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, TextIO

import typer

from durable_core.core import ticks

_GAP = "  "
_LEAST_WIDTH = 8
"""Of the last column, when it is cut."""
_STYLES: dict[str, dict[str, Any]] = {
    "Running": {"fg": "cyan"},
    "Pending": {"fg": "blue"},
    "Completed": {"fg": "green"},
    "Failed": {"fg": "red", "bold": True},
    "Terminated": {"fg": "magenta"},
    "Canceled": {"fg": "magenta"},
    "Suspended": {"fg": "yellow"},
    "ContinuedAsNew": {"fg": "cyan"},
    "ok": {"fg": "green"},
    "warning": {"fg": "yellow"},
    "problem": {"fg": "red", "bold": True},
    "heading": {"bold": True},
}
_UNITS = ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s"))


class Cell(NamedTuple):
    """A text and the name of its style."""

    text: str
    style: str = ""

    def shown(self) -> str:
        """The text, coloured on a terminal."""
        style = _STYLES.get(self.style)
        if style is None or "NO_COLOR" in os.environ or not is_terminal(sys.stdout):
            return self.text
        return typer.style(self.text, **style)


def styled(text: str, name: str | None = None) -> Cell:
    """``text`` in the colour of a status."""
    return Cell(text, name or text)


def print_table(
    headers: Sequence[str],
    rows: Sequence[Sequence[str | Cell]],
    *,
    right: Sequence[str] = (),
    cut: bool = False,
) -> None:
    """Print aligned columns; nothing at all if there are no rows.

    Args:
        right: headers of columns that stand to the right.
        cut: the last column ends at the edge of the terminal instead of going on in the next line.
    """
    if not rows:
        return
    lines = [[Cell(header, "heading") for header in headers]]
    lines += [[cell if isinstance(cell, Cell) else Cell(cell) for cell in row] for row in rows]
    widths = [max(width_of(cell.text) for cell in column) for column in zip(*lines, strict=True)]
    if cut and is_terminal(sys.stdout):
        left = shutil.get_terminal_size().columns - sum(width + len(_GAP) for width in widths[:-1])
        if left >= _LEAST_WIDTH:
            for line in lines:
                line[-1] = Cell(_cut(line[-1].text, left), line[-1].style)
    for line in lines:
        print_line(line, widths, [header in right for header in headers])


def print_line(cells: Sequence[Cell], widths: Sequence[int], to_the_right: Sequence[bool]) -> None:
    """Print one row; nothing fills up behind its last text."""
    last = max((number for number, cell in enumerate(cells) if cell.text), default=-1)
    parts = []
    for number, cell in enumerate(cells[: last + 1]):
        blanks = " " * (widths[number] - width_of(cell.text))
        if to_the_right[number]:
            parts.append(blanks + cell.shown())
        else:
            parts.append(cell.shown() + ("" if number == last else blanks))
    typer.echo(_GAP.join(parts))


def print_pairs(pairs: Sequence[tuple[str, str | Cell]]) -> None:
    """Print names with their values, one a line."""
    widths = [max(width_of(name) for name, _ in pairs), 0]
    for name, value in pairs:
        shown = value if isinstance(value, Cell) else Cell(value)
        print_line([Cell(name, "heading"), shown], widths, [False, False])


def width_of(text: str) -> int:
    """Columns that a text takes on a terminal."""
    if text.isascii():
        return len(text)
    return sum(_columns(character) for character in text)


def _columns(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _cut(text: str, width: int) -> str:
    if width_of(text) <= width:
        return text
    left = width - 1
    for position, character in enumerate(text):
        left -= _columns(character)
        if left < 0:
            return f"{text[:position]}…"
    return text


def print_json(document: Any) -> None:
    """Print one JSON document."""
    typer.echo(json.dumps(document, indent=2, ensure_ascii=False))


def done(as_json: bool, text: str, **members: Any) -> None:
    """Tell what was done: a line, or an object."""
    if as_json:
        print_json(members)
    else:
        typer.echo(text)


def exact(moment: int | None) -> str:
    """A time in whole seconds, for scripts and single objects."""
    return "-" if moment is None else ticks.format_message(moment // ticks.PER_SECOND * ticks.PER_SECOND)


def span(seconds: float) -> str:
    """A length of time in its two largest units."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 9.95:
        return f"{seconds:.1f} s".replace(".0 ", " ")
    left = round(seconds)
    parts: list[str] = []
    for size, unit in _UNITS:
        number, left = divmod(left, size)
        if number or parts:
            parts.append(f"{number} {unit}")
    return " ".join(part for part in parts[:2] if not part.startswith("0 "))


def ago(moment: int | None, now: int) -> str:
    """How long ago a time was, or how far ahead it is."""
    if moment is None:
        return "-"
    seconds = (now - moment) / ticks.PER_SECOND
    if abs(seconds) < 1:
        return "now"
    told = span(round(abs(seconds)))
    return f"{told} ago" if seconds > 0 else f"in {told}"


def one_line(text: str, longest: int = 60) -> str:
    """The beginning of a text, on one line."""
    flat = " ".join(text.split())
    return flat if len(flat) <= longest else f"{flat[: longest - 1]}…"


def confirm(question: str, yes: bool) -> None:
    """Ask before something is deleted.

    Raises:
        typer.Abort: the answer is no.
        typer.BadParameter: there is nobody to ask.
    """
    if yes:
        return
    if not is_terminal(sys.stdin):
        raise typer.BadParameter(f"{question} Nobody can be asked here; say --yes.", param_hint="--yes")
    typer.confirm(question, abort=True, err=True)


def is_terminal(stream: TextIO) -> bool:
    """Somebody sits at the other end."""
    return stream.isatty()


class Progress:
    """Tells how far a long operation is: a moving line on a terminal, a line now and then elsewhere."""

    def __init__(self, show: Callable[[str], None]) -> None:
        self._show = show

    def tell(self, text: str) -> None:
        self._show(text)


@contextmanager
def progress(text: str) -> Iterator[Progress]:
    """Show on standard error that something is under way."""
    if not is_terminal(sys.stderr):
        yield Progress(lambda told: typer.echo(told, err=True))
        return
    from rich.console import Console
    from rich.markup import escape

    with Console(stderr=True).status(escape(text)) as status:
        yield Progress(lambda told: status.update(escape(told)))
