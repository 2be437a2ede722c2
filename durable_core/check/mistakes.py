"""Mistakes with durable tasks: what is yielded, what is not, and what is mistaken for a result."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator

from durable_core.check.guards import is_guarded
from durable_core.check.module import Mode, Module
from durable_core.check.names import FunctionNode, within_scope
from durable_core.check.reach import Unit
from durable_core.check.rules import COMPOUNDS, DURABLE, TASKS

Found = tuple[ast.AST, str, str]
Mistake = Callable[[ast.AST, Unit, Module], Iterator[Found]]


def _yields(node: ast.AST, unit: Unit, module: Module) -> Iterator[Found]:
    if not isinstance(node, ast.Yield) or node.value is None:
        return
    value = node.value
    if unit.is_orchestrator and isinstance(value, (ast.List, ast.Tuple, ast.ListComp, ast.GeneratorExp, ast.Set)):
        yield node, "yield-list", f"a yielded {_NOUNS[type(value)]}"
    helper = _generator(value, module)
    if helper is not None:
        yield node, "yield-from", f"yield {helper.name}()"


_NOUNS: dict[type[ast.AST], str] = {
    ast.List: "list",
    ast.Tuple: "tuple",
    ast.Set: "set",
    ast.ListComp: "list",
    ast.GeneratorExp: "generator",
}


def _generator(node: ast.AST, module: Module) -> FunctionNode | None:
    """The generator function of the module that ``node`` calls."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
        return None
    found = module.names.find(node.func.id, node)
    definition = found[1].definition if found is not None else None
    if isinstance(definition, ast.FunctionDef) and module.is_generator(definition):
        return definition
    return None


def _statements(node: ast.AST, unit: Unit, module: Module) -> Iterator[Found]:
    """Calls whose outcome nobody takes."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        helper = _generator(node.value, module)
        if helper is not None:
            yield node, "yield-from", f"{helper.name}()"
        name = durable_call(node.value)
        if name in COMPOUNDS or (name in TASKS and unit.orchestrator.mode is Mode.ALIAS):
            scheduled = "" if name in COMPOUNDS else ", not even scheduled without yield,"
            yield node, "unyielded", f"the task of {name}(){scheduled}"
    elif isinstance(node, ast.Assign) and unit.orchestrator.mode is Mode.ALIAS:
        name = durable_call(node.value)
        target = node.targets[0]
        if name in TASKS | COMPOUNDS and isinstance(target, ast.Name) and not _is_read(target, unit):
            yield node, "unyielded", f"the task of {name}(), never used as {target.id},"


def _is_read(target: ast.Name, unit: Unit) -> bool:
    return any(
        isinstance(node, ast.Name) and node.id == target.id and isinstance(node.ctx, ast.Load) for node in unit.nodes
    )


def durable_call(node: ast.AST) -> str | None:
    """The name of the context's method that ``node`` calls; told by the method's name, whatever the context's is."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in DURABLE:
        return node.func.attr
    return None


def _values(node: ast.AST, unit: Unit, module: Module) -> Iterator[Found]:
    """A task that is used as if it were its result."""
    name = durable_call(node)
    if name not in TASKS | COMPOUNDS:
        return
    parent = module.names.parents.get(node)
    is_operand = (
        (isinstance(parent, ast.Subscript) and parent.value is node)
        or isinstance(parent, (ast.BinOp, ast.UnaryOp, ast.FormattedValue, ast.AugAssign))
        or (isinstance(parent, ast.Compare) and not all(isinstance(op, (ast.Is, ast.IsNot)) for op in parent.ops))
        or (isinstance(parent, (ast.If, ast.While, ast.IfExp)) and parent.test is node)
        or (isinstance(parent, (ast.For, ast.comprehension)) and parent.iter is node)
    )
    is_returned = (
        isinstance(parent, ast.Return)
        and unit.is_orchestrator
        and unit.function is not None
        and any(inner is parent for inner in within_scope(unit.function.body))
    )
    if is_operand or is_returned:
        yield node, "task-value", f"what {name}() returns"


def _replaying(node: ast.AST, unit: Unit, module: Module) -> Iterator[Found]:
    is_yield = isinstance(node, (ast.Yield, ast.YieldFrom))
    if (is_yield or durable_call(node) is not None) and is_guarded(node, module):
        parent = module.names.parents.get(node)
        if not isinstance(parent, ast.Yield):
            yield node, "replaying", "a decision that depends on is_replaying"


def _direct(node: ast.AST, unit: Unit, module: Module) -> Iterator[Found]:
    """A function with a trigger, called like an ordinary one."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
        return
    meaning = module.names.module_level(node.func.id, node)
    definition = meaning.definition if meaning is not None else None
    if isinstance(definition, (ast.FunctionDef, ast.AsyncFunctionDef)) and module.has_trigger(definition):
        yield node, "activity-call", f"{definition.name}(), called directly,"


MISTAKES: tuple[Mistake, ...] = (_yields, _statements, _values, _replaying, _direct)
