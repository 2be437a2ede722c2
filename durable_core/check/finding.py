"""What the check reports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from durable_core.check.rules import RULES


@dataclass(frozen=True, slots=True)
class Finding:
    """One place that breaks one rule.

    Attributes:
        path: of the file, as it was given.
        line, column: from 1.
        function: that contains the place, empty for whole files and comments.
        orchestrator: that runs it.
        rule: name of the rule.
        what: words for what stands there.
    """

    path: str
    line: int
    column: int
    function: str
    orchestrator: str
    rule: str
    what: str

    @property
    def instead(self) -> str:
        """What to write instead."""
        return RULES[self.rule].instead

    @property
    def message(self) -> str:
        """One sentence without place."""
        where = ""
        if self.function:
            where = f" [in {self.function}()" + (
                "]" if self.function == self.orchestrator else f", run by orchestrator {self.orchestrator}()]"
            )
        return f"{self.what} {RULES[self.rule].why}; {self.instead}{where}"

    def __str__(self) -> str:
        return f"{self.path}:{self.line}:{self.column}: {self.rule}: {self.message}"

    def document(self) -> dict[str, Any]:
        """Members for JSON."""
        return {
            "path": self.path,
            "line": self.line,
            "column": self.column,
            "function": self.function,
            "orchestrator": self.orchestrator,
            "rule": self.rule,
            "found": self.what,
            "instead": self.instead,
        }
