"""Comments that switch rules off, ``# durable: ignore[rule]``, and the lines that they speak for."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from dataclasses import dataclass

from durable_core.check.names import Names


@dataclass(frozen=True, slots=True)
class Ignore:
    """A comment that switches rules off; no rules means all."""

    line: int
    column: int
    rules: frozenset[str]
    is_alone: bool
    """Nothing else is on the line: it means the line below."""


_IGNORE = re.compile(r"#\s*durable:\s*ignore\b(?:\[([^\]]*)\])?")


def read_ignores(source: str) -> list[Ignore]:
    """All such comments of a file."""
    found: list[Ignore] = []
    if "durable:" not in source:
        return found
    try:
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            match = _IGNORE.search(token.string) if token.type == tokenize.COMMENT else None
            if match is not None:
                rules = frozenset(name.strip() for name in (match[1] or "").split(",") if name.strip())
                line, column = token.start
                found.append(Ignore(line, column, rules, not token.line[:column].strip()))
    except (tokenize.TokenError, SyntaxError):
        # The parser has accepted the file, so this is a difference between the two: what was read so far counts.
        return found
    return found


def lines_of(node: ast.AST, names: Names) -> set[int]:
    """Lines whose comments concern a node: its statement's, and the heads of the functions and classes around it."""
    lines = {getattr(node, "lineno", 1)}
    current: ast.AST | None = node
    while current is not None:
        if isinstance(current, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            lines.update(range(current.lineno, max(current.lineno + 1, current.body[0].lineno)))
        elif isinstance(current, (ast.stmt, ast.expr)) and not hasattr(current, "body"):
            lines.update(range(current.lineno, (current.end_lineno or current.lineno) + 1))
        current = names.parents.get(current)
    return lines
