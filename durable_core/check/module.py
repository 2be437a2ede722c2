"""One module as the check sees it: which functions are orchestrators, which have other triggers, what code runs."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from enum import Enum

from durable_core.check.comments import read_ignores
from durable_core.check.names import FunctionNode, Names, within_scope


class Mode(Enum):
    """Which programming model registers the orchestrator."""

    OWN = "durable_core"
    ALIAS = "azure.durable_functions"


@dataclass(frozen=True, slots=True)
class Orchestrator:
    name: str
    node: FunctionNode
    mode: Mode


_TRIGGER = re.compile(r".*_trigger|.*_input|.*_output|route|schedule|generic_\w+|warm_up_trigger")


class Module:
    """A parsed file."""

    def __init__(self, source: str) -> None:
        """Parse the text of a file.

        Raises:
            SyntaxError: it is no Python; ``ValueError``, ``RecursionError`` and ``MemoryError`` of the parser mean the
                same.
        """
        self.tree = ast.parse(source)
        self.names = Names(self.tree)
        self.ignores = read_ignores(source)

    def orchestrators(self) -> list[Orchestrator]:
        """Functions that are registered as orchestrators, by their place in the file."""
        found: dict[FunctionNode, Orchestrator] = {}
        for node in ast.walk(self.tree):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                for decorator in node.decorator_list:
                    if decorator_name(decorator) == "orchestration_trigger":
                        found[node] = Orchestrator(node.name, node, self._mode(decorator))
            elif isinstance(node, ast.Call):
                function = self._registered(node)
                if function is not None and function not in found:
                    found[function] = Orchestrator(function.name, function, self._mode(node))
        return sorted(found.values(), key=lambda item: item.node.lineno)

    def _registered(self, call: ast.Call) -> FunctionNode | None:
        """The function of ``Orchestrator.create(f)`` or ``app.orchestration_trigger(...)(f)``."""
        is_create = (self.names.dotted(call.func) or "").endswith("durable_functions.Orchestrator.create")
        is_applied = isinstance(call.func, ast.Call) and decorator_name(call.func) == "orchestration_trigger"
        if not (is_create or is_applied) or len(call.args) != 1:
            return None
        if isinstance(call.args[0], ast.Lambda):
            return _as_function(call.args[0])
        if not isinstance(call.args[0], ast.Name):
            return None
        meaning = self.names.module_level(call.args[0].id, call)
        definition = meaning.definition if meaning is not None else None
        return definition if isinstance(definition, (ast.FunctionDef, ast.AsyncFunctionDef)) else None

    def _mode(self, decorator: ast.expr) -> Mode:
        """By the app object in front of the decorator; where that comes from elsewhere, by what the module imports."""
        made_by = self.names.dotted(decorator) or ""
        for mode in Mode:
            if made_by.startswith(f"{mode.value}."):
                return mode
        imported = [meaning.imported or "" for meaning in self.names.module.names.values()]
        for mode in Mode:
            if any(name == mode.value or name.startswith(f"{mode.value}.") for name in imported):
                return mode
        return Mode.OWN

    def has_trigger(self, node: FunctionNode | ast.ClassDef) -> bool:
        """It is registered as some function of the app: an activity, an entity, a client function."""
        return any(is_trigger(decorator) for decorator in node.decorator_list)

    def is_generator(self, node: FunctionNode) -> bool:
        return any(isinstance(inner, (ast.Yield, ast.YieldFrom)) for inner in within_scope(node.body))


def _as_function(node: ast.Lambda) -> ast.FunctionDef:
    """A function of the same code; what is inside stays part of the lambda."""
    body = ast.copy_location(ast.Return(node.body), node.body)
    return ast.copy_location(ast.FunctionDef("<lambda>", node.args, [body], []), node)


def decorator_name(decorator: ast.expr) -> str | None:
    """``route`` of ``@app.route(...)``, ``@app.route`` or ``@route(...)``."""
    if isinstance(decorator, ast.Call):
        decorator = decorator.func
    if isinstance(decorator, ast.Attribute):
        return decorator.attr
    return decorator.id if isinstance(decorator, ast.Name) else None


def is_trigger(decorator: ast.expr) -> bool:
    """The decorator registers a function with the app, or adds a binding to it."""
    return _TRIGGER.fullmatch(decorator_name(decorator) or "") is not None
