"""What runs only when ``context.is_replaying`` says so."""

from __future__ import annotations

import ast

from durable_core.check.module import Module


def is_guarded(node: ast.AST, module: Module) -> bool:
    """The node runs only when ``is_replaying`` says so."""
    current: ast.AST | None = node
    while current is not None:
        parent = module.names.parents.get(current)
        if isinstance(parent, (ast.If, ast.IfExp)) and current is not parent.test and _mentions_replaying(parent.test):
            return True
        current = parent
    return False


def _mentions_replaying(test: ast.expr) -> bool:
    return any(isinstance(inner, ast.Attribute) and inner.attr == "is_replaying" for inner in ast.walk(test))
