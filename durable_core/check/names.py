"""What a name means where it stands: imports and their aliases, definitions, variables; scopes as Python has them."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef
ScopeNode = FunctionNode | ast.Lambda | ast.Module

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_NEW_SCOPES = (*_FUNCTIONS, ast.ClassDef)
_DEEPEST = 8
"""Variables that may stand for one another before the search is given up."""


@dataclass(slots=True)
class Meaning:
    """All that one scope binds to one name."""

    imported: str | None = None
    """Dotted name of a module, or of something in it."""
    definition: FunctionNode | ast.ClassDef | None = None
    values: list[ast.expr | None] = field(default_factory=list)
    """What is assigned; None where it cannot be said (parameters, loop variables, …)."""

    @property
    def value(self) -> ast.expr | None:
        """What the variable is, if it is assigned once."""
        return self.values[0] if len(self.values) == 1 else None


@dataclass(slots=True)
class Scope:
    node: ScopeNode
    parent: Scope | None
    names: dict[str, Meaning] = field(default_factory=dict)
    stars: list[str] = field(default_factory=list)
    """Modules of ``from … import *``."""
    outer: set[str] = field(default_factory=set)
    """Names declared ``global`` or ``nonlocal``."""

    def meaning(self, name: str) -> Meaning:
        return self.names.setdefault(name, Meaning())


class Names:
    """The scopes of one module, and the way from any node to its parents."""

    def __init__(self, tree: ast.Module) -> None:
        self.parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
        self.module = Scope(tree, None)
        self._scopes: dict[ast.AST, Scope] = {tree: self.module}
        _bind(self.module, tree.body)

    def scope(self, node: ast.AST) -> Scope:
        """The scope in which ``node`` stands; class bodies count as the scope around them."""
        above = self.parents.get(node)
        while above is not None and not isinstance(
            above, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.Module)
        ):
            above = self.parents.get(above)
        return self.module if above is None else self._of(above)

    def _of(self, node: ScopeNode) -> Scope:
        chain: list[FunctionNode | ast.Lambda] = []
        current: ast.AST | None = node
        while current is not None and current not in self._scopes:
            if isinstance(current, _FUNCTIONS):
                chain.append(current)
            current = self.parents.get(current)
        scope = self._scopes[current] if current is not None else self.module
        for inner in reversed(chain):
            scope = Scope(inner, scope)
            _bind_parameters(scope, inner)
            _bind(scope, [inner.body] if isinstance(inner, ast.Lambda) else inner.body)
            self._scopes[inner] = scope
        return scope

    def find(self, name: str, at: ast.AST) -> tuple[Scope, Meaning] | None:
        """What ``name`` means at a node, and the scope that says so; None for builtins and unknown names."""
        scope: Scope | None = self.scope(at)
        while scope is not None:
            if name in scope.names and name not in scope.outer:
                return scope, scope.names[name]
            scope = scope.parent
        return None

    def module_level(self, name: str, at: ast.AST) -> Meaning | None:
        """The meaning of ``name`` at a node if the module itself binds it."""
        found = self.find(name, at)
        return found[1] if found is not None and found[0] is self.module else None

    def dotted(self, expression: ast.AST, depth: int = 0) -> str | None:
        """The dotted name that an expression stands for, calls written as ``()``: ``pathlib.Path().read_text``."""
        tail: list[str] = []
        while not isinstance(expression, ast.Name):
            if isinstance(expression, ast.Attribute):
                tail.append(f".{expression.attr}")
                expression = expression.value
            elif isinstance(expression, ast.Call):
                tail.append("()")
                expression = expression.func
            else:
                return None
        base = self._base(expression.id, expression, depth)
        return None if base is None else base + "".join(reversed(tail))

    def _base(self, name: str, at: ast.AST, depth: int) -> str | None:
        found = self.find(name, at)
        if found is None:
            return self._unbound(name, at)
        meaning = found[1]
        if meaning.imported is not None:
            return meaning.imported
        if meaning.definition is not None or meaning.value is None or depth >= _DEEPEST:
            return None
        return self.dotted(meaning.value, depth + 1)

    def _unbound(self, name: str, at: ast.AST) -> str | None:
        if hasattr(builtins, name):
            return f"builtins.{name}"
        scope: Scope | None = self.scope(at)
        while scope is not None:
            if scope.stars:
                return f"{scope.stars[-1]}.{name}"
            scope = scope.parent
        return None


def root_name(expression: ast.AST) -> ast.Name | None:
    """The variable that an expression like ``a.b[c].d`` begins with."""
    while isinstance(expression, (ast.Attribute, ast.Subscript, ast.Starred)):
        expression = expression.value
    return expression if isinstance(expression, ast.Name) else None


def within_scope(nodes: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """Nodes below ``nodes`` in the same scope, in the order of the source; functions and classes are not entered."""
    stack = list(nodes)[::-1]
    while stack:
        node = stack.pop()
        yield node
        if isinstance(node, _NEW_SCOPES):
            continue
        stack.extend(list(ast.iter_child_nodes(node))[::-1])


def _bind_parameters(scope: Scope, node: FunctionNode | ast.Lambda) -> None:
    arguments = node.args
    for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg):
        if argument is not None:
            scope.meaning(argument.arg).values.append(None)


def _bind(scope: Scope, body: Iterable[ast.AST]) -> None:
    for node in within_scope(body):
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.partition(".")[0]
                scope.meaning(alias.asname or top).imported = alias.name if alias.asname else top
        elif isinstance(node, ast.ImportFrom):
            _bind_from(scope, node)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            scope.meaning(node.name).definition = node
        elif isinstance(node, (ast.Global, ast.Nonlocal)):
            scope.outer.update(node.names)
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                _bind_target(scope, target, node.value)
        elif isinstance(node, ast.AnnAssign):
            if node.value is not None:
                _bind_target(scope, node.target, node.value)
        elif isinstance(node, ast.NamedExpr):
            _bind_target(scope, node.target, node.value)
        elif isinstance(node, (ast.AugAssign, ast.For, ast.AsyncFor, ast.comprehension)):
            _bind_target(scope, node.target, None)
        elif isinstance(node, ast.withitem):
            if node.optional_vars is not None:
                _bind_target(scope, node.optional_vars, None)
        elif isinstance(node, ast.Delete):
            for target in node.targets:
                _bind_target(scope, target, None)
        else:
            captured = _captured(node)
            if captured is not None:
                scope.meaning(captured).values.append(None)


def _captured(node: ast.AST) -> str | None:
    if isinstance(node, (ast.ExceptHandler, ast.MatchAs, ast.MatchStar)):
        return node.name
    return node.rest if isinstance(node, ast.MatchMapping) else None


def _bind_from(scope: Scope, node: ast.ImportFrom) -> None:
    module = "." * node.level + (node.module or "")
    for alias in node.names:
        if alias.name == "*":
            scope.stars.append(module)
        else:
            separator = "" if module.endswith(".") else "."
            scope.meaning(alias.asname or alias.name).imported = f"{module}{separator}{alias.name}"


def _bind_target(scope: Scope, target: ast.AST, value: ast.expr | None) -> None:
    if isinstance(target, ast.Name):
        scope.meaning(target.id).values.append(value)
        return
    for node in within_scope([target]):
        if isinstance(node, ast.Name) and isinstance(node.ctx, (ast.Store, ast.Del)):
            scope.meaning(node.id).values.append(None)
