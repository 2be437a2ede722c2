"""Finds what breaks the rules in the code that orchestrators run."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from durable_core.check.comments import lines_of
from durable_core.check.finding import Finding
from durable_core.check.guards import is_guarded
from durable_core.check.mistakes import MISTAKES
from durable_core.check.module import Module, decorator_name, is_trigger
from durable_core.check.names import FunctionNode
from durable_core.check.reach import Reach, Unit, code
from durable_core.check.rules import (
    DETERMINISTIC_WITH,
    ENDLESS,
    HARMLESS,
    METHODS,
    MODULES,
    NAMES,
    PATHS,
    RULES,
)
from durable_core.check.state import changed, changing_functions

Found = tuple[ast.AST, str, str]
"""Where, which rule, and the words for what was found."""


def check_source(source: str, path: str, *, strict: bool = False) -> list[Finding]:
    """Everything that is wrong with the orchestrators of one file, in the order of its lines.

    Args:
        path: as findings name the file.
        strict: also report what is merely untidy (rules with ``is_strict``).
    """
    try:
        module = Module(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = getattr(error, "lineno", None) or 1
        column = getattr(error, "offset", None) or 1
        text = getattr(error, "msg", None) or str(error) or type(error).__name__
        return [Finding(path, line, column, "", "", "syntax", f"the file ({text})")]
    return check_module(module, path, strict=strict)


def check_module(module: Module, path: str, *, strict: bool = False) -> list[Finding]:
    """As ``check_source``, for a file that has been parsed."""
    scan = _Scan(module, path)
    for orchestrator in module.orchestrators():
        for unit in Reach(module, orchestrator, scan.seen).units():
            scan.unit(unit)
    return scan.result(strict)


class _Scan:
    def __init__(self, module: Module, path: str) -> None:
        self._module = module
        self._path = path
        self._writers = changing_functions(module)
        self._found: dict[tuple[int, int, str], tuple[Finding, ast.AST]] = {}
        self._origins: dict[str, tuple[str, str] | None] = {}
        self.seen: set[ast.AST] = set()

    def unit(self, unit: Unit) -> None:
        """Apply every rule to a piece of code."""
        if unit.is_orchestrator and unit.function is not None:
            for found in _orchestrator(unit.function):
                self._add(unit, *found)
        for node in unit.nodes:
            for look in (self._names, self._global_state, self._variable, _loops, _asynchronous):
                for found in look(node, self._module):
                    self._add(unit, *found)
            for mistake in MISTAKES:
                for found in mistake(node, unit, self._module):
                    self._add(unit, *found)

    def _add(self, unit: Unit, node: ast.AST, rule: str, what: str) -> None:
        line, column = getattr(node, "lineno", 1), getattr(node, "col_offset", 0) + 1
        finding = Finding(self._path, line, column, unit.name, unit.orchestrator.name, rule, what)
        self._found.setdefault((line, column, rule), (finding, node))

    # ---- names of the library --------------------------------------------------------------------------------------

    def _names(self, node: ast.AST, module: Module) -> Iterator[Found]:
        if not isinstance(node, (ast.Name, ast.Attribute)) or not isinstance(node.ctx, ast.Load):
            return
        dotted = module.names.dotted(node)
        if dotted is None:
            return
        parent = module.names.parents.get(node)
        call = parent if isinstance(parent, ast.Call) and parent.func is node else None
        rule = _rule(dotted, node, call, parent)
        if rule == "log" and is_guarded(node, module):
            return
        if rule is not None:
            yield node, rule, dotted.removeprefix("builtins.") + ("()" if call is not None else "")

    def _variable(self, node: ast.AST, module: Module) -> Iterator[Found]:
        """A module variable was made, when the module was imported, by something that no replay repeats."""
        if not isinstance(node, ast.Name) or not isinstance(node.ctx, ast.Load):
            return
        meaning = module.names.module_level(node.id, node)
        if meaning is not None and meaning.value is not None:
            if node.id not in self._origins:
                self._origins[node.id] = self._origin(meaning.value)
            if (origin := self._origins[node.id]) is not None:
                yield node, origin[0], f"{node.id}, made by {origin[1]},"

    def _origin(self, value: ast.expr) -> tuple[str, str] | None:
        """The rule that the value of a module variable breaks, and words for what breaks it."""
        if isinstance(value, (ast.Name, ast.Attribute, ast.Lambda)):
            return None  # another name for a function is judged where it is called
        for inner in code(value):
            for _, rule, what in self._names(inner, self._module):
                if rule != "log":
                    return rule, f"{what} in line {getattr(inner, 'lineno', 0)}"
        return None

    def _global_state(self, node: ast.AST, module: Module) -> Iterator[Found]:
        name = changed(node, module.names)
        if name is not None:
            yield name, "global-state", f"{name.id}, changed here,"
        elif isinstance(node, ast.Name) and node.id in self._writers and isinstance(node.ctx, ast.Load):
            meaning = module.names.module_level(node.id, node)
            if meaning is not None and meaning.values:
                yield node, "global-state", f"{node.id}, changed by {self._writers[node.id]}(),"

    # ---- comments --------------------------------------------------------------------------------------------------

    def result(self, strict: bool) -> list[Finding]:
        """What no comment switches off."""
        used: set[tuple[int, str]] = set()
        kept = []
        for finding, node in self._found.values():
            lines = lines_of(node, self._module.names)
            switched_off = False
            for ignore in self._module.ignores:
                line = ignore.line + 1 if ignore.is_alone else ignore.line
                if line in lines and (not ignore.rules or finding.rule in ignore.rules):
                    used.add((ignore.line, finding.rule if ignore.rules else ""))
                    switched_off = True
            if not switched_off and (strict or not RULES[finding.rule].is_strict):
                kept.append(finding)
        if strict:
            for ignore in self._module.ignores:
                for rule in ignore.rules or {""}:
                    if (ignore.line, rule) not in used:
                        what = f"`# durable: ignore[{rule}]`" if rule else "`# durable: ignore`"
                        kept.append(Finding(self._path, ignore.line, ignore.column + 1, "", "", "unused-ignore", what))
        return sorted(kept, key=lambda finding: (finding.line, finding.column, finding.rule))


def _rule(dotted: str, node: ast.expr, call: ast.Call | None, parent: ast.AST | None) -> str | None:
    if dotted in HARMLESS:
        return None
    enough = DETERMINISTIC_WITH.get(dotted)
    if enough is not None and call is not None and len(call.args) + len(call.keywords) >= enough:
        return None
    if dotted in NAMES:
        return NAMES[dotted]
    owner, _, method = dotted.rpartition(".")
    if call is not None and owner.removesuffix("()") in PATHS and owner.endswith("()"):
        return METHODS.get(method)
    is_passed = isinstance(parent, (ast.Call, ast.keyword)) and method[:1].islower()
    if (call is None and not is_passed) or "()" in dotted.replace("logging.getLogger()", ""):
        return None
    while owner:
        if owner in MODULES:
            return MODULES[owner]
        owner = owner.rpartition(".")[0]
    return MODULES.get(dotted)


# ---- rules about the shape of the code ------------------------------------------------------------------------------


def _orchestrator(function: FunctionNode) -> Iterator[Found]:
    if isinstance(function, ast.AsyncFunctionDef):
        yield function, "async", "async def"
    for decorator in function.decorator_list:
        name = decorator_name(decorator)
        if is_trigger(decorator) and name != "orchestration_trigger":
            yield decorator, "binding", f"@{name} on an orchestrator"


def _asynchronous(node: ast.AST, module: Module) -> Iterator[Found]:
    words: dict[type[ast.AST], str] = {ast.Await: "await", ast.AsyncFor: "async for", ast.AsyncWith: "async with"}
    word = words.get(type(node))
    if word is not None:
        yield node, "async", word
    elif isinstance(node, ast.comprehension) and node.is_async:
        yield node.target, "async", "async for"


def _loops(node: ast.AST, module: Module) -> Iterator[Found]:
    if isinstance(node, ast.While):
        if isinstance(node.test, ast.Constant) and node.test.value and not _has_exit(node):
            yield node, "infinite-loop", "a loop without an exit"
    elif isinstance(node, (ast.For, ast.comprehension)):
        dotted = module.names.dotted(node.iter) or ""
        name = dotted.removesuffix("()")
        if isinstance(node, ast.For) and isinstance(node.iter, ast.Call) and name in ENDLESS:
            ends_with = ENDLESS[name]
            ends = ends_with is not None and len(node.iter.args) + len(node.iter.keywords) >= ends_with
            if not ends and not _has_exit(node):
                yield node, "infinite-loop", f"a loop over {name}() without an exit"
        if _is_set(node.iter, module):
            yield node.iter, "set-order", "a loop over a set"


def _has_exit(loop: ast.While | ast.For) -> bool:
    """Something in the loop may leave it, or begins the next generation."""
    stack: list[tuple[ast.AST, bool]] = [(item, True) for item in loop.body]
    while stack:
        node, is_own = stack.pop()
        if isinstance(node, (ast.Return, ast.Raise)) or (isinstance(node, ast.Break) and is_own):
            return True
        if isinstance(node, ast.Attribute) and node.attr == "continue_as_new":
            return True
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)):
            continue
        inner = isinstance(node, (ast.While, ast.For, ast.AsyncFor))
        for child in ast.iter_child_nodes(node):
            stack.append((child, is_own and not inner))
    return False


_SETS = ("builtins.set()", "builtins.frozenset()")
_KEEP_ORDER = ("builtins.list()", "builtins.tuple()", "builtins.enumerate()", "builtins.iter()", "builtins.map()")


def _is_set(expression: ast.expr, module: Module) -> bool:
    """The value is a set, or keeps the order of one."""
    for _ in range(8):
        if isinstance(expression, (ast.Set, ast.SetComp)):
            return True
        if isinstance(expression, ast.Call):
            dotted = module.names.dotted(expression)
            if dotted in _SETS:
                return True
            if dotted not in _KEEP_ORDER or not expression.args:
                return False
            expression = expression.args[-1]
        elif isinstance(expression, ast.Name):
            found = module.names.find(expression.id, expression)
            if found is None or found[1].value is None:
                return False
            expression = found[1].value
        else:
            return False
    return False
