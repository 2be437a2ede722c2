"""Which numbered behaviours of the specification are named where."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
SPEC = ROOT / "docs/spec/orchestration-semantics.md"

_NAMED = re.compile(r"behaviours?[ _](\d+(?:(?:,? and |, |,| to |_(?:and_|to_)?)\d+)*)", re.IGNORECASE)
_PART = re.compile(r"(\d+)(?:(?: to |_to_)(\d+))?")


def numbers_in(text: str) -> set[int]:
    """Every number that ``text`` names: ``behaviour 3``, ``behaviours 5, 7 and 9``, ``behaviours 1 to 4``,
    ``test_behaviour_3_…``."""
    found: set[int] = set()
    for named in _NAMED.finditer(" ".join(text.split())):
        for first, last in _PART.findall(named[1]):
            found.update(range(int(first), int(last or first) + 1))
    return found


def named_in_tests() -> set[int]:
    """Numbers that a test names."""
    here = Path(__file__).parent
    return set().union(*(numbers_in(path.read_text("utf-8")) for path in _tests() if path.parent != here))


def named_in_compatibility() -> set[int]:
    """Numbers that the page of deliberate differences names."""
    return numbers_in((ROOT / "docs/compatibility.md").read_text("utf-8"))


def specified() -> set[int]:
    """Numbers of the list in the specification."""
    listed = SPEC.read_text("utf-8").split("## 11.", 1)[1].split("## 12.", 1)[0]
    return {int(number) for number in re.findall(r"^(\d+)\. ", listed, re.MULTILINE)}


def _tests() -> Iterator[Path]:
    return (ROOT / "tests").rglob("*.py")


_HOST_CHECK = re.compile(r"\b(?:test_)?[Cc](\d+)(?: to C(\d+))?(?=\b|_)")
_HOST_TESTS = ("host", "functions", "e2e", "chaos", "worker", "model")


def host_checks() -> set[int]:
    """Numbers of the conformance checks of hosts, C1 to C20."""
    listed = (ROOT / "docs/spec/functions-host.md").read_text("utf-8").split("## 15.", 1)[1].split("## 16.", 1)[0]
    return {int(number) for number in re.findall(r"^\| C(\d+) ", listed, re.MULTILINE)}


def host_checks_in_tests() -> set[int]:
    """Numbers of these checks that a docstring or the name of a test names."""
    found: set[int] = set()
    for folder in _HOST_TESTS:
        for path in (ROOT / "tests" / folder).rglob("*.py"):
            for line in path.read_text("utf-8").splitlines():
                if line.lstrip().startswith('"""') or "def test_c" in line:
                    for first, last in _HOST_CHECK.findall(line.replace("test_c", "test C")):
                        found.update(range(int(first), int(last or first) + 1))
    return found


_ITEMS = re.compile(r"(python-api 15|task-hub 0\.3),? (?:items?|rules?) (\d+(?:(?:, | and | to )\d+)*)")


def checklists() -> dict[str, set[int]]:
    """The numbered must-haves of the Python surface, and the numbered rules of writers."""
    spec = ROOT / "docs/spec"
    surface = (spec / "python-api.md").read_text("utf-8").split("## 15.", 1)[1].split("## 16.", 1)[0]
    writers = (spec / "task-hub.md").read_text("utf-8").split("### 0.3", 1)[1].split("\n## 1.", 1)[0]
    lists = {"python-api 15": surface, "task-hub 0.3": writers}
    return {name: {int(number) for number in re.findall(r"^(\d+)\. ", text, re.M)} for name, text in lists.items()}


def checklist_items_in_tests() -> dict[str, set[int]]:
    """Numbers of these lists that a test names: ``python-api 15, item 3``, ``task-hub 0.3, rule 1``."""
    found: dict[str, set[int]] = {"python-api 15": set(), "task-hub 0.3": set()}
    here = Path(__file__).parent
    for path in _tests():
        if path.parent != here:
            for name, numbers in _ITEMS.findall(" ".join(path.read_text("utf-8").split())):
                found[name] |= numbers_in(f"behaviours {numbers}")
    return found
