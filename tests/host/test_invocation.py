"""Calling functions: time-outs, exits, values that nobody takes (functions-host 3.3, 5, 14.3)."""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Any

import pytest

from durable_core.errors import ConfigurationError
from durable_core.host.indexing import IndexedFunction
from durable_core.host.invocation import Invoker
from durable_core.host.options import function_timeout
from durable_core.worker.function_timeout import FunctionTimeoutError


def function(body: Any, *, has_return: bool = True) -> IndexedFunction:
    is_async = asyncio.iscoroutinefunction(body)
    return IndexedFunction("f", body, "timerTrigger", "arg", {}, is_async, False, has_return)


async def test_a_function_that_takes_too_long_fails_by_name_and_setting() -> None:
    cancelled: list[bool] = []
    ended: list[bool] = []

    async def waits(arg: Any) -> None:
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    def blocks(arg: Any) -> None:
        time.sleep(0.3)
        ended.append(True)

    invoker = Invoker("/app", 0.1)
    for body in (waits, blocks):
        with pytest.raises(FunctionTimeoutError, match=r"0:00:00.1.* exceeded by function 'f'.*functionTimeout"):
            await invoker.call(function(body), None)
    assert cancelled == [True]
    assert (ended, invoker.running) == ([], 0)
    await asyncio.sleep(0.4)
    assert ended == [True], "sync code is left behind in its thread"


async def test_an_exit_ends_the_call_and_not_the_host() -> None:
    def leaves(arg: Any) -> None:
        sys.exit(3)

    async def leaves_async(arg: Any) -> None:
        sys.exit(3)

    for body in (leaves, leaves_async):
        with pytest.raises(RuntimeError, match=r"'f' asked the process to end"):
            await Invoker("/app").call(function(body), None)


async def test_a_value_that_no_binding_takes_is_an_error() -> None:
    with pytest.raises(RuntimeError, match=r"'f' without a \$return binding returned a non-None value, a str"):
        await Invoker("/app").call(function(lambda arg: "x", has_return=False), None)


@pytest.mark.parametrize(
    ("host", "environ", "seconds"),
    [
        ({}, {}, 1800.0),
        ({}, {"WEBSITE_SKU": "Dynamic"}, 300.0),
        ({"functionTimeout": "00:10:00"}, {}, 600.0),
        ({"functionTimeout": "-1"}, {}, None),
    ],
)
def test_the_limit(host: dict[str, Any], environ: dict[str, str], seconds: float | None) -> None:
    assert function_timeout(host, environ) == seconds
    with pytest.raises(ConfigurationError, match="functionTimeout"):
        function_timeout({"functionTimeout": "soon"}, environ)
