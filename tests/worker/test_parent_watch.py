"""An orphaned worker notices that it is one (functions-host 18)."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest

from durable_core.testing.virtual_time import run
from durable_core.worker.parent_watch import ParentWatch


@pytest.mark.parametrize(("first", "then"), [(4711, 1), (4711, 4712)])
def test_a_changed_parent_is_noticed_within_a_second(first: int, then: int) -> None:
    async def main() -> float:
        loop = asyncio.get_running_loop()
        watch = ParentWatch(lambda: first if loop.time() < 100.5 else then)
        assert not watch.is_orphaned()
        await watch.wait()
        return loop.time()

    assert 100.5 <= run(main()) <= 101.5


def test_process_1_as_parent_from_the_beginning_is_no_reason_to_stop() -> None:
    async def main() -> None:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(ParentWatch(lambda: 1).wait(), 3600)

    run(main())


_PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", sys.argv[1]], stdout=sys.stdout)
sys.stdin.read(1)
import os
os._exit(1)
"""
_CHILD = """
import asyncio
from durable_core.worker.parent_watch import ParentWatch
watch = ParentWatch()
print("watching", flush=True)
asyncio.run(asyncio.wait_for(watch.wait(), 20))
print("orphaned", flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows keeps the number of a dead parent")
def test_a_real_process_notices_that_its_parent_died() -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", _PARENT, _CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None and parent.stdin is not None
    assert parent.stdout.readline() == "watching\n"
    parent.stdin.write("x")
    parent.stdin.flush()
    assert parent.stdout.readline() == "orphaned\n"
    parent.communicate()
