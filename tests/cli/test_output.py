"""Times and texts as people read them."""

from __future__ import annotations

import io
import sys

import pytest

from durable_core.cli import output
from durable_core.core.ticks import PER_SECOND


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0123, "12 ms"),
        (1.0, "1 s"),
        (2.04, "2 s"),
        (2.46, "2.5 s"),
        (19.99, "20 s"),
        (59.6, "1 min"),
        (61, "1 min 1 s"),
        (3600, "1 h"),
        (3661, "1 h 1 min"),
        (86_400 * 3 + 60, "3 d"),
    ],
)
def test_lengths_of_time(seconds: float, text: str) -> None:
    assert output.span(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "now"), (3.4, "3 s ago"), (-90, "in 1 min 30 s"), (7200, "2 h ago")]
)
def test_times_ago(seconds: float, text: str) -> None:
    assert output.ago(0, round(seconds * PER_SECOND)) == text
    assert output.ago(None, 0) == "-"


def test_long_texts_are_cut_to_one_line() -> None:
    assert output.one_line("a\n b\tc") == "a b c"
    assert output.one_line("x" * 100, 10) == "x" * 9 + "…"


def terminal_of_40_columns(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What is written to a terminal that is standard output from now on."""
    monkeypatch.setattr(output, "is_terminal", lambda stream: True)
    monkeypatch.setenv("COLUMNS", "40")
    told = io.StringIO()
    told.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr(sys, "stdout", told)
    return told


@pytest.mark.parametrize("cut", [True, False])
def test_a_table_on_a_narrow_terminal_is_cut_when_that_is_wanted(cut: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = terminal_of_40_columns(monkeypatch)
    output.print_table(["Id", "Text"], [("a", "word " * 20), ("b", "日本語" * 20)], cut=cut)
    lines = terminal.getvalue().splitlines()
    assert len(lines) == 3
    assert all((output.width_of(line) <= 40 and line.endswith("…")) is cut for line in lines[1:])


def test_columns_are_aligned_by_what_a_terminal_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = terminal_of_40_columns(monkeypatch)
    monkeypatch.setenv("NO_COLOR", "1")
    output.print_table(["Name", "Number", ""], [("日本", "1", ""), ("e\u0301", "20", "x")], right=["Number"])
    assert terminal.getvalue() == "Name  Number\n日本       1\ne\u0301         20  x\n"


def test_statuses_have_colours_on_a_terminal_only(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = terminal_of_40_columns(monkeypatch)
    output.print_pairs([("Status", output.styled("Failed"))])
    assert "\x1b[31m" in terminal.getvalue()
    monkeypatch.setattr(output, "is_terminal", lambda stream: False)
    assert output.styled("Failed").shown() == "Failed"
