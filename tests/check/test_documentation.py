"""docs/code-constraints.md lists exactly the rules that there are."""

from __future__ import annotations

from pathlib import Path

from durable_core.check.rules import RULES

PAGE = Path(__file__).parents[2] / "docs" / "code-constraints.md"


def table() -> str:
    rows = ["| Rule | Finds | Instead |", "|---|---|---|"]
    for rule in RULES.values():
        rows.append(f"| `{rule.name}`{' *' if rule.is_strict else ''} | {rule.finds} | {rule.instead} |")
    return "\n".join(rows)


def test_the_page_has_the_table_of_the_rules() -> None:
    assert table() in PAGE.read_text(encoding="utf-8")
