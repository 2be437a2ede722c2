"""Every rule of the check, with code that breaks it and code that does not."""

from __future__ import annotations

import pytest

from durable_core.check.finding import Finding
from durable_core.check.rules import MODULES, NAMES, RULES
from durable_core.check.scanner import check_source
from tests.check.examples import BAD, GOOD, source

ABOUT_THE_CHECK = {"syntax", "unused-ignore"}


def check(example: str, *, library: str = "durable_core") -> list[Finding]:
    return check_source(source(example, library=library), "app.py", strict=True)


def cases(examples: dict[str, list[str]]) -> list[object]:
    return [
        pytest.param(rule, example, id=f"{rule}-{number}")
        for rule, listed in examples.items()
        for number, example in enumerate(listed)
    ]


@pytest.mark.parametrize("library", ["durable_core", "azure.durable_functions"])
@pytest.mark.parametrize(("rule", "example"), cases(BAD))
def test_code_that_breaks_a_rule_is_found(rule: str, example: str, library: str) -> None:
    found = check(example, library=library)
    assert rule in {finding.rule for finding in found}, found
    first = next(finding for finding in found if finding.rule == rule)
    assert first.orchestrator == "under_test"
    assert RULES[rule].instead in first.message


@pytest.mark.parametrize(("rule", "example"), cases(GOOD))
def test_code_that_keeps_to_the_rules_is_not_found(rule: str, example: str) -> None:
    assert check(example) == []


def test_every_rule_has_examples_and_every_name_a_rule() -> None:
    assert set(BAD) == set(GOOD) == set(RULES) - ABOUT_THE_CHECK
    assert {*NAMES.values(), *MODULES.values()} <= set(RULES)


@pytest.mark.parametrize(
    "body",
    [
        "context.call_activity('a')\n    yield context.call_activity('b')",
        "task = context.call_activity('a')\n    yield context.call_activity('b')",
        "context.create_timer(context.current_utc_datetime)",
    ],
)
def test_only_apps_of_azure_durable_functions_must_yield_every_task(body: str) -> None:
    assert [finding.rule for finding in check(f"---\n{body.replace('    ', '')}")] == []
    alias = check(f"---\n{body.replace('    ', '')}", library="azure.durable_functions")
    assert [finding.rule for finding in alias] == ["unyielded"]


def test_a_finding_says_where_what_and_what_to_write_instead() -> None:
    text = "\n".join(
        [
            "import durable_core as df, datetime",
            "app = df.DFApp()",
            "class Plan:",
            "    def due(self):",
            "        return datetime.datetime.now()",
            "@app.orchestration_trigger('context')",
            "def main(context):",
            "    return Plan().due()",
        ]
    )
    (finding,) = check_source(text, "app.py")
    assert (finding.line, finding.column, finding.function, finding.rule) == (5, 16, "Plan.due", "clock")
    assert str(finding) == (
        "app.py:5:16: clock: datetime.datetime.now() reads the clock, which is different on every replay; "
        "use context.current_utc_datetime [in Plan.due(), run by orchestrator main()]"
    )


def test_bindings_and_async_orchestrators_are_found_at_the_definition() -> None:
    text = "\n".join(
        [
            "import durable_core as df",
            "app = df.DFApp()",
            "@app.function_name('x')",
            "@app.orchestration_trigger('context')",
            "@app.durable_client_input(client_name='client')",
            "@app.queue_output(arg_name='out', queue_name='q', connection='c')",
            "async def main(context, client, out):",
            "    await client.start_new('x')",
        ]
    )
    found = check_source(text, "app.py")
    assert [(finding.line, finding.rule) for finding in found] == [
        (5, "binding"),
        (6, "binding"),
        (7, "async"),
        (8, "async"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "import azure.durable_functions as df\nimport time\ndef f(context):\n    time.sleep(1)\n"
        "main = df.Orchestrator.create(f)",
        "import azure.durable_functions as df\nimport time\napp = df.DFApp()\ndef f(context):\n    time.sleep(1)\n"
        "app.orchestration_trigger(context_name='context')(f)",
        "from somewhere import bp\nimport time\n@bp.orchestration_trigger(context_name='context')\n"
        "def f(context):\n    time.sleep(1)",
    ],
)
def test_orchestrators_are_recognised_however_they_are_registered(text: str) -> None:
    assert [finding.rule for finding in check_source(text, "app.py")] == ["blocking"]


@pytest.mark.parametrize(
    "line",
    [
        "time.sleep(1)  # durable: ignore[blocking]",
        "time.sleep(1)  # durable: ignore[clock, blocking] the reason may follow",
        "time.sleep(1)  # durable: ignore",
        "# durable: ignore[blocking]\n    time.sleep(1)",
        "time.sleep(  # durable: ignore[blocking]\n        1\n    )",
        "time.sleep(\n        1\n    )  # durable: ignore[blocking]",
    ],
)
def test_a_comment_switches_a_finding_off(line: str) -> None:
    text = f"@bp.orchestration_trigger('c')\ndef main(context):\n    {line}\n"
    assert check_source(f"import time\n{text}", "app.py") == []


def test_a_comment_at_the_head_of_a_function_is_for_all_of_it() -> None:
    text = "import time\ndef helper():  # durable: ignore[blocking]\n    time.sleep(1)\n    time.time()\n"
    text += "@bp.orchestration_trigger('c')\ndef main(context):\n    helper()\n"
    assert [finding.rule for finding in check_source(text, "app.py")] == ["clock"]


def test_a_comment_for_another_rule_does_not_help_and_strict_reports_comments_without_effect() -> None:
    text = (
        "import time\n@bp.orchestration_trigger('c')\ndef main(context):\n    time.sleep(1)  # durable: ignore[clok]\n"
    )
    assert [finding.rule for finding in check_source(text, "app.py")] == ["blocking"]
    assert [finding.rule for finding in check_source(text, "app.py", strict=True)] == ["blocking", "unused-ignore"]


def test_logging_is_reported_only_on_request() -> None:
    assert check_source(source(BAD["log"][0]), "app.py") == []


def test_what_several_orchestrators_run_is_reported_once() -> None:
    text = "import time\ndef helper():\n    time.sleep(1)\n" + "".join(
        f"@bp.orchestration_trigger('c')\ndef main{number}(context):\n    helper()\n" for number in range(3)
    )
    (finding,) = check_source(text, "app.py")
    assert finding.orchestrator == "main0"


WRAPPED = """
import functools, time
import durable_core as df
bp = df.Blueprint()

def logged(function):
    loaded = time.time()
    @functools.wraps(function)
    def around(context):
        print(time.time())
        return function(context)
    return around

def named(name):
    loaded = time.time()
    def decorate(function):
        also_loaded = time.time()
        def around(context):
            time.sleep(1)
            return function(context)
        return around
    return decorate

@bp.orchestration_trigger("context")
@logged
def plain(context):
    yield context.call_activity("a")

@bp.orchestration_trigger("context")
@named("x")
def called(context):
    yield context.call_activity("a")
"""


def test_what_decorators_put_around_an_orchestrator_is_looked_at() -> None:
    """Not what they do when the module is imported."""
    found = check_source(WRAPPED, "app.py")
    assert [(item.line, item.rule, item.function) for item in found] == [
        (10, "clock", "logged.around"),
        (19, "blocking", "named.around"),
    ]


def test_a_lambda_may_be_an_orchestrator() -> None:
    registered = "bp.orchestration_trigger('c')(lambda c: time.sleep(c.get_input()))"
    (found,) = check_source(f"import time\nimport durable_core as df\nbp = df.Blueprint()\n{registered}\n", "app.py")
    assert (found.line, found.rule, found.function) == (4, "blocking", "<lambda>")
