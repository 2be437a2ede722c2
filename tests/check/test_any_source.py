"""The check takes any Python file: it never crashes, whatever the code is."""

from __future__ import annotations

import ast
import tokenize
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from durable_core.check.module import Mode, Module, Orchestrator
from durable_core.check.scanner import check_module, check_source

LIBRARY = Path(ast.__file__).parent
SAMPLE = sorted(LIBRARY.glob("*.py"))[::4]


class Everything(Module):
    """Takes every function for an orchestrator, so that every rule sees every line."""

    def orchestrators(self) -> list[Orchestrator]:
        functions = [node for node in ast.walk(self.tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
        return [Orchestrator(node.name, node, Mode.ALIAS) for node in functions]


@pytest.mark.parametrize("file", SAMPLE, ids=lambda file: file.name)
def test_the_standard_library(file: Path) -> None:
    with tokenize.open(file) as opened:
        source = opened.read()
    for finding in check_module(Everything(source), file.name, strict=True):
        assert 1 <= finding.line <= source.count("\n") + 1
        assert finding.message


STATEMENTS = st.sampled_from(
    [
        "x = yield",
        "from {a} import {b} as {a}",
        "from {a} import *",
        "import {a}.{b}",
        "global {a}\n    {a} = 1",
        "{a} = {b}",
        "{a}.{b}[{a}] = {a}.{b}()",
        "del {a}, {b}.{a}",
        "{a} = lambda {b}, *{a}: {b}({a})",
        "class {a}({b}):\n        {b} = {a}()\n        def {a}(self): return self.{b}",
        "def {a}({b}=[]):\n        yield {b}.append({a}())",
        "async def {a}():\n        async for {b} in {a}: await {b}",
        "match {a}:\n        case {{'x': {b}, **rest}}: yield [rest]\n        case [{b}, *more] | {b} as more: pass",
        "while True:\n        {a}()",
        "for {a}, *{b} in {{{a}, {b}}}: pass",
        "try: {a}()\n    except* {b} as {a}: {a}.{b}",
        "with {a}() as ({a}, {b}): return {a}.call_activity({b})",
        "[{a} for {a} in {b} if ({b} := {a})]",
        "if {a}.is_replaying: yield {a}.task_all({b})",
        "{a}: {b} = {b}.time()",
        "print(f'{{{a}.call_activity()}}')  # durable: ignore[{b}]",
    ]
)
NAMES = st.sampled_from(["time", "datetime", "random", "context", "helper", "os", "self"])


@given(st.lists(st.tuples(STATEMENTS, NAMES, NAMES), max_size=8))
@settings(max_examples=150, deadline=None)
def test_any_mixture_of_statements(parts: list[tuple[str, str, str]]) -> None:
    body = "".join(f"    {statement.format(a=a, b=b)}\n" for statement, a, b in parts)
    check_source(
        f"{body.replace('    ', '', 1)}\n@bp.orchestration_trigger('c')\ndef helper(context):\n    0\n{body}", "x"
    )


@given(st.text())
@settings(max_examples=40, deadline=None)
def test_any_text(text: str) -> None:
    check_source(text, "x")
    check_source(f"@bp.orchestration_trigger('c')\ndef helper(context):\n    {text}", "x")


@pytest.mark.parametrize("source", ["def (", "\0", "x = " + "(" * 3000, "-" * 100_000 + "1"])
def test_what_is_no_python_is_a_finding(source: str) -> None:
    (finding,) = check_source(source, "app.py")
    assert finding.rule == "syntax"


def test_deep_nesting_is_no_trouble() -> None:
    deep = "a" + ".b()" * 200
    source = f"import time as a\n@bp.orchestration_trigger('c')\ndef helper(context):\n    return {deep}\n"
    assert check_source(source, "app.py") == []
