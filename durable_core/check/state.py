"""State that outlives an orchestrator's run: which code changes a module's variables."""

from __future__ import annotations

import ast

from durable_core.check.module import Module
from durable_core.check.names import Names, root_name
from durable_core.check.rules import MUTATORS


def changed(node: ast.AST, names: Names) -> ast.Name | None:
    """The name of what this very node changes although it outlives the function: a module's, or a mutable default."""
    if isinstance(node, ast.Name):
        is_global = not isinstance(node.ctx, ast.Load) and node.id in names.scope(node).outer
        return node if is_global and names.module_level(node.id, node) is not None else None
    if isinstance(node, (ast.Attribute, ast.Subscript)) and not isinstance(node.ctx, ast.Load):
        root = root_name(node)
        return root if root is not None and _outlives(root, names, imports=True) else None
    if isinstance(node, ast.Call):
        return _changed_by_call(node, names)
    return None


def _changed_by_call(call: ast.Call, names: Names) -> ast.Name | None:
    root: ast.Name | None = None
    if isinstance(call.func, ast.Attribute) and call.func.attr in MUTATORS:
        root = root_name(call.func.value)
    elif names.dotted(call.func) == "builtins.next" and call.args:
        root = root_name(call.args[0])
    return root if root is not None and _outlives(root, names, imports=False) else None


def _outlives(name: ast.Name, names: Names, *, imports: bool) -> bool:
    """What ``name`` holds is there before the function runs, and after: a module's, or a mutable default."""
    found = names.find(name.id, name)
    if found is None:
        return False
    scope, meaning = found
    if scope is names.module:
        return imports or bool(meaning.values)
    return isinstance(scope.node, (ast.FunctionDef, ast.AsyncFunctionDef)) and _has_mutable_default(
        scope.node.args, name.id
    )


def _has_mutable_default(arguments: ast.arguments, name: str) -> bool:
    positional = [*arguments.posonlyargs, *arguments.args]
    defaults = [
        *zip(positional[len(positional) - len(arguments.defaults) :], arguments.defaults, strict=True),
        *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True),
    ]
    return any(
        argument.arg == name and isinstance(default, (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp))
        for argument, default in defaults
    )


def changing_functions(module: Module) -> dict[str, str]:
    """By module variable, a function that changes it."""
    found: dict[str, str] = {}
    for function in ast.walk(module.tree):
        if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)):
            for node in ast.walk(function):
                name = changed(node, module.names)
                if name is not None and module.names.module_level(name.id, name) is not None:
                    found.setdefault(name.id, function.name)
    return found
