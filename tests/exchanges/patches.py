"""What stands in ``differences.diff``: for each exchange the lines in which our answer is not the recorded one.

``python -m tests.exchanges`` writes the file again, for those rows of the table that need it; read what
``git diff`` then shows.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from pathlib import Path

FILE = Path(__file__).parent / "differences.diff"
_EXCHANGE = re.compile(r"^exchange (\d+)\n", re.MULTILINE)
_HUNK = re.compile(r"@@ -(\d+)(?:,(\d+))? \+\d+(?:,\d+)? @@")


def read() -> dict[int, list[str]]:
    """The lines of each exchange's patch, by its number."""
    _, *parts = _EXCHANGE.split(FILE.read_text(encoding="utf-8"))
    return {
        int(number): text.removesuffix("\n").split("\n") for number, text in zip(parts[::2], parts[1::2], strict=True)
    }


def patch(captured: str, ours: str) -> list[str]:
    """The lines that make one of the other."""
    found = difflib.unified_diff(captured.split("\n"), ours.split("\n"), lineterm="", n=0)
    return list(found)[2:]


def applied(captured: str, lines: list[str]) -> str:
    """``captured`` with the changes of its patch; fails if it is not the text that the patch was made of."""
    before = captured.split("\n")
    after: list[str] = []
    done = 0
    for start, removed, added in _hunks(lines):
        after += before[done:start]
        assert before[start : start + len(removed)] == removed
        after += added
        done = start + len(removed)
    return "\n".join(after + before[done:])


def _hunks(lines: list[str]) -> Iterator[tuple[int, list[str], list[str]]]:
    """Where each change begins, what it takes away, and what it puts there."""
    heads = [index for index, line in enumerate(lines) if line.startswith("@@")]
    for head, end in zip(heads, [*heads[1:], len(lines)], strict=True):
        found = _HUNK.fullmatch(lines[head])
        assert found is not None
        changed = lines[head + 1 : end]
        # A change that takes nothing away names the line before it.
        start = int(found[1]) - (0 if found[2] == "0" else 1)
        yield start, [line[1:] for line in changed if line[0] == "-"], [line[1:] for line in changed if line[0] == "+"]
