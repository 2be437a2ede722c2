"""Threads for user code: short calls share one, long ones never hold up others."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import pytest

from durable_core.worker.user_threads import StoppedError, UserThreads


async def test_short_calls_take_turns_in_one_thread() -> None:
    threads = UserThreads(20, clock=lambda: 0.0)  # every call is short
    used = set(await asyncio.gather(*(threads.submit(threading.get_ident).future for _ in range(50))))
    assert len(used) == 1
    threads.close()


async def test_calls_that_block_run_side_by_side() -> None:
    threads = UserThreads(8)
    meet = threading.Barrier(8)
    await asyncio.wait_for(asyncio.gather(*(threads.submit(lambda: meet.wait(5)).future for _ in range(8))), 5)
    again = threading.Barrier(8)
    await asyncio.wait_for(asyncio.gather(*(threads.submit(lambda: again.wait(5)).future for _ in range(8))), 5)
    threads.close()


async def test_no_more_threads_than_allowed() -> None:
    threads = UserThreads(3)
    lock = threading.Lock()
    at_once: list[int] = [0, 0]

    def work() -> None:
        with lock:
            at_once[0] += 1
            at_once[1] = max(at_once)
        time.sleep(0.02)
        with lock:
            at_once[0] -= 1

    await asyncio.gather(*(threads.submit(work).future for _ in range(12)))
    assert at_once[1] == 3
    threads.close()


async def test_a_short_call_does_not_wait_for_long_ones() -> None:
    threads = UserThreads(3)
    end = threading.Event()
    long = [threads.submit(lambda: end.wait(10)) for _ in range(2)]
    assert await asyncio.wait_for(threads.submit(lambda: "short").future, 2) == "short"
    end.set()
    await asyncio.gather(*(call.future for call in long))
    threads.close()


async def test_whatever_a_function_raises_reaches_its_caller() -> None:
    threads = UserThreads(2)

    def leave() -> None:
        raise SystemExit(3)

    def stop() -> None:
        raise StopIteration("a value")

    with pytest.raises(SystemExit):
        await threads.submit(leave).future
    with pytest.raises(RuntimeError, match="StopIteration"):
        await threads.submit(stop).future
    assert await threads.submit(lambda: 1).future == 1, "the thread lives on"
    threads.close()


async def test_a_call_given_up_while_it_waits_never_runs() -> None:
    threads = UserThreads(1)
    end, ran = threading.Event(), []
    first = threads.submit(lambda: end.wait(10))
    second = threads.submit(lambda: ran.append("second"))
    third = threads.submit(lambda: ran.append("third"))
    second.future.cancel()
    end.set()
    await asyncio.gather(first.future, third.future)
    assert ran == ["third"]
    threads.close()


async def test_the_place_of_a_stopped_thread_is_taken() -> None:
    threads = UserThreads(1)
    stopped = threading.Event()

    def loops() -> None:
        try:
            while True:
                pass
        except StoppedError:
            stopped.set()
            raise

    endless = threads.submit(loops)
    while endless.began is None:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    waiting = threads.submit(lambda: "taken over")
    assert threads.stop(endless)
    assert not threads.stop(endless), "once is enough"
    assert await asyncio.wait_for(waiting.future, 5) == "taken over"
    assert await asyncio.to_thread(stopped.wait, 5)
    with pytest.raises(StoppedError):
        await endless.future
    threads.close()


async def test_close_forgets_what_waits() -> None:
    threads = UserThreads(1)
    end = threading.Event()
    first, second = threads.submit(lambda: end.wait(10)), threads.submit(lambda: "never")
    while first.began is None:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    threads.close()
    end.set()
    assert await first.future is True
    assert second.future.cancelled()
    with pytest.raises(RuntimeError, match="closed"):
        threads.submit(lambda: 1)


async def test_results_of_short_calls_come_together() -> None:
    threads = UserThreads(1, clock=lambda: 0.0)
    begin, turns = threading.Event(), []
    first = threads.submit(lambda: begin.wait(10))
    rest = [threads.submit(lambda: None) for _ in range(20)]
    for call in (first, *rest):
        call.future.add_done_callback(lambda _: turns.append(asyncio.get_running_loop().time()))
    begin.set()
    time.sleep(0.05)  # the loop is busy meanwhile, so that it does not look  # noqa: ASYNC251
    await asyncio.gather(*(call.future for call in rest))
    assert len(turns) == 21
    assert max(turns) - min(turns) < 0.02, "all were there when the loop looked"
    threads.close()


async def test_a_result_does_not_wait_for_the_long_call_behind_it() -> None:
    threads = UserThreads(1)
    end = threading.Event()
    first, second = threads.submit(lambda: "done"), threads.submit(lambda: end.wait(10))
    assert await asyncio.wait_for(first.future, 1) == "done"
    assert not second.future.done()
    end.set()
    assert await second.future
    threads.close()


async def test_results_are_told_while_more_waits_than_there_are_threads() -> None:
    threads = UserThreads(2)
    end, release = threading.Event(), threading.Event()
    long = threads.submit(lambda: end.wait(10))
    other = threads.submit(lambda: release.wait(10))
    waiting = [threads.submit(lambda: end.wait(10)) for _ in range(2)]
    await asyncio.sleep(0.05)  # all threads are taken: the loop looks no more
    release.set()
    assert await asyncio.wait_for(other.future, 1)
    end.set()
    assert all(await asyncio.gather(long.future, *(call.future for call in waiting)))
    threads.close()


async def test_results_are_told_when_a_stop_comes_while_the_loop_is_being_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    threads = UserThreads(2)
    loop = asyncio.get_running_loop()
    ask = loop.call_soon_threadsafe
    stops = [StoppedError()]

    def stopped_once(*arguments: Any) -> Any:
        if threading.current_thread().name == "durable-user" and stops:
            raise stops.pop()
        return ask(*arguments)

    monkeypatch.setattr(loop, "call_soon_threadsafe", stopped_once)
    for _ in range(2):
        await asyncio.wait_for(threads.submit(lambda: time.sleep(0.02)).future, 5)  # the loop looks before it has ended
    assert not stops
    threads.close()
