"""What an orchestrator runs in its own module: functions, methods of classes, and what variables were made from."""

from __future__ import annotations

import ast
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from durable_core.check.module import Module, Orchestrator
from durable_core.check.names import FunctionNode, within_scope
from durable_core.check.rules import DURABLE

_ALWAYS = frozenset(
    ("__init__", "__post_init__", "__new__", "__call__", "__enter__", "__exit__", "__iter__", "__next__", "__getitem__")
)
"""Methods that run without being named."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A piece of code that an orchestrator runs.

    Attributes:
        name: of the function, ``Class.method``, or the class whose body gives defaults.
        nodes: to be looked at, in the order of the source.
        is_orchestrator: it is the orchestrator function itself.
    """

    name: str
    orchestrator: Orchestrator
    nodes: tuple[ast.AST, ...]
    function: FunctionNode | None = None
    is_orchestrator: bool = False


class Reach:
    """Follows the code of one orchestrator."""

    def __init__(self, module: Module, orchestrator: Orchestrator, seen: set[ast.AST]) -> None:
        """Begin at ``orchestrator``; what is in ``seen`` has been looked at already and is left out."""
        self._module = module
        self._orchestrator = orchestrator
        self._seen = seen
        self._queue: deque[Unit] = deque()
        self._classes: list[ast.ClassDef] = []
        self._attributes: set[str] = set()
        self._variables: set[str] = set()
        self._function(orchestrator.node, orchestrator.node.name)
        for decorator in orchestrator.node.decorator_list:
            self._wrappers(decorator)

    def units(self) -> Iterator[Unit]:
        """Every piece of code once."""
        while self._queue:
            unit = self._queue.popleft()
            yield unit
            for node in unit.nodes:
                self._follow(node)
            self._methods()

    def _function(self, node: FunctionNode, name: str) -> None:
        if node not in self._seen:
            self._seen.add(node)
            own = node is self._orchestrator.node
            parts = (node,) if own else (*node.decorator_list, node)
            nodes = tuple(inner for part in parts for inner in code(part))
            self._queue.append(Unit(name, self._orchestrator, nodes, node, own))

    def _wrappers(self, decorator: ast.expr) -> None:
        """What a decorator of this module puts around the orchestrator runs with it; its own body ran at import."""
        is_called = isinstance(decorator, ast.Call)
        name = decorator.func if isinstance(decorator, ast.Call) else decorator
        if not isinstance(name, ast.Name):
            return
        meaning = self._module.names.module_level(name.id, name)
        definition = meaning.definition if meaning is not None else None
        if not isinstance(definition, (ast.FunctionDef, ast.AsyncFunctionDef)):
            return
        around = _inner_functions(definition)
        if is_called:  # one function more, which takes the orchestrator
            around = [inner for function in around for inner in _inner_functions(function)]
        for function in around:
            self._function(function, f"{definition.name}.{function.name}")

    def _follow(self, node: ast.AST) -> None:
        if isinstance(node, ast.Attribute):
            self._attributes.add(node.attr)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            self._name(node.id, node)

    def _name(self, name: str, node: ast.AST) -> None:
        module = self._module
        meaning = module.names.module_level(name, node)
        if meaning is None:
            return
        definition = meaning.definition
        if isinstance(definition, (ast.FunctionDef, ast.AsyncFunctionDef)):
            if not module.has_trigger(definition) and not self._is_named_only(node):
                self._function(definition, definition.name)
        elif isinstance(definition, ast.ClassDef):
            if not module.has_trigger(definition):
                self._class(definition, node)
        elif meaning.value is not None and name not in self._variables:
            # The variable may hold an object of a class of this module, or stand for a function.
            self._variables.add(name)
            for inner in code(meaning.value):
                self._follow(inner)

    def _is_named_only(self, node: ast.AST) -> bool:
        """A function given to ``call_activity`` and the like is named, not run here."""
        parent = self._module.names.parents.get(node)
        return (
            isinstance(parent, ast.Call)
            and isinstance(parent.func, ast.Attribute)
            and parent.func.attr in DURABLE
            and parent.args[:1] == [node]
        )

    def _class(self, node: ast.ClassDef, reference: ast.AST) -> None:
        if node not in self._classes:
            self._classes.append(node)
            for base in node.bases:
                self._follow(base)
        parent = self._module.names.parents.get(reference)
        is_made = isinstance(parent, ast.Call) and parent.func is reference
        if is_made and node not in self._seen:
            self._seen.add(node)
            self._attributes.update(_ALWAYS)
            body = [item for item in node.body if isinstance(item, (ast.Assign, ast.AnnAssign))]
            nodes = tuple(inner for item in body for inner in code(item))
            self._queue.append(Unit(node.name, self._orchestrator, nodes))

    def _methods(self) -> None:
        for node in self._classes:
            for item in node.body:
                if isinstance(item, (ast.FunctionDef, ast.AsyncFunctionDef)) and item.name in self._attributes:
                    self._function(item, f"{node.name}.{item.name}")


def _inner_functions(node: FunctionNode) -> list[FunctionNode]:
    return [item for item in within_scope(node.body) if isinstance(item, (ast.FunctionDef, ast.AsyncFunctionDef))]


def code(root: ast.AST) -> Iterator[ast.AST]:
    """Everything below a node that runs: annotations, and the decorators of ``root`` itself, do not count.

    Nested functions, lambdas and comprehensions are part of the function around them.
    """
    stack: list[ast.AST] = [root]
    while stack:
        node = stack.pop()
        yield node
        children: list[ast.AST] = []
        for name, value in ast.iter_fields(node):
            if name in ("annotation", "returns", "type_params") or (name == "decorator_list" and node is root):
                continue
            children.extend(
                item for item in (value if isinstance(value, list) else [value]) if isinstance(item, ast.AST)
            )
        stack.extend(reversed(children))
