"""Each numbered behaviour of http-and-protocol 10 is named by a test or by docs/compatibility.md."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
_IN_TESTS = re.compile(r"http-and-protocol 10, items? ([\d, and]+)")
_IN_DOCS = re.compile(r"items? (\d[\d, to]*)")


def numbers(text: str) -> set[int]:
    """The numbers of a list like ``9, 64 to 66``."""
    found: set[int] = set()
    for first, last in re.findall(r"(\d+)(?: to (\d+))?", text):
        found |= set(range(int(first), int(last or first) + 1))
    return found


def test_every_item_of_the_checklist_is_named() -> None:
    spec = (ROOT / "docs/spec/http-and-protocol.md").read_text(encoding="utf-8")
    checklist = spec.partition("## 10. Checklist")[2].partition("## 11.")[0]
    items = {int(number) for number in re.findall(r"^(\d+)\. ", checklist, re.MULTILINE)}
    assert items == set(range(1, 101))
    named: set[int] = set()
    for file in (ROOT / "tests").rglob("test_*.py"):
        for found in _IN_TESTS.findall(file.read_text(encoding="utf-8")):
            named |= numbers(found)
    compatibility = (ROOT / "docs/compatibility.md").read_text(encoding="utf-8")
    for found in _IN_DOCS.findall(compatibility):
        named |= numbers(found)
    assert items - named == set()
