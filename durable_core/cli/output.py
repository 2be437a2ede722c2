"""What commands print: tables, times and colours for people, JSON for scripts.

Colours and widths belong to a terminal; into a file or pipe goes plain text, one line a row, nothing cut.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO

import typer

from durable_core.core import ticks

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

_PIPE_WIDTH = 100_000
_GAP = 2
_LEAST_WIDTH = 8
"""Of the last column, when it is cut."""
_STYLES = {
    "Running": "cyan",
    "Pending": "blue",
    "Completed": "green",
    "Failed": "bold red",
    "Terminated": "magenta",
    "Canceled": "magenta",
    "Suspended": "yellow",
    "ContinuedAsNew": "cyan",
    "ok": "green",
    "warning": "yellow",
    "problem": "bold red",
}
_UNITS = ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def console(file: TextIO | None = None) -> Console:
    """Where tables go: standard output unless told otherwise."""
    from rich.console import Console

    file = file or sys.stdout
    return Console(file=file, width=None if is_terminal(file) else _PIPE_WIDTH, highlight=False, soft_wrap=False)


def styled(text: str, name: str | None = None) -> Text:
    """``text`` in the colour of a status; nothing in it is markup."""
    from rich.text import Text

    return Text(text, style=_STYLES.get(name or text, ""))


def print_table(
    headers: Sequence[str],
    rows: Sequence[Sequence[str | Text]],
    *,
    right: Sequence[str] = (),
    cut: bool = False,
) -> None:
    """Print aligned columns; nothing at all if there are no rows.

    Args:
        right: headers of columns that stand to the right.
        cut: the last column ends at the edge of the terminal instead of going on in the next line.
    """
    from rich.table import Table
    from rich.text import Text

    if not rows:
        return
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, _GAP, 0, 0))
    for header in headers:
        table.add_column(header, justify="right" if header in right else "left", overflow="fold")
    cells = [[cell if isinstance(cell, Text) else Text(cell) for cell in row] for row in rows]
    if cut:
        _cut_last(headers, cells)
    for line in cells:
        table.add_row(*line)
    _print_lines(table)


def _cut_last(headers: Sequence[str], rows: Sequence[Sequence[Text]]) -> None:
    widths = [
        max(len(header), *(cell.cell_len for cell in column))
        for header, column in zip(headers, zip(*rows, strict=True), strict=True)
    ]
    left = console().width - sum(width + _GAP for width in widths[:-1])
    if left >= _LEAST_WIDTH:
        for row in rows:
            row[-1].truncate(left, overflow="ellipsis")


def print_pairs(pairs: Sequence[tuple[str, str | Text]]) -> None:
    """Print names with their values, one a line."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, _GAP, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in pairs:
        table.add_row(name, value if isinstance(value, Text) else Text(value))
    _print_lines(table)


def _print_lines(table: Any) -> None:
    """Print without the blanks that fill up the last column."""
    target = console()
    with target.capture() as captured:
        target.print(table)
    sys.stdout.write("".join(f"{line.rstrip()}\n" for line in captured.get().splitlines()))


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

    def __init__(self, status: Any) -> None:
        self._status = status

    def tell(self, text: str) -> None:
        if self._status is not None:
            self._status.update(styled(text))
        else:
            typer.echo(text, err=True)


@contextmanager
def progress(text: str) -> Iterator[Progress]:
    """Show on standard error that something is under way."""
    if not is_terminal(sys.stderr):
        yield Progress(None)
        return
    with console(sys.stderr).status(styled(text)) as status:
        yield Progress(status)
