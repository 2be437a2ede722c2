"""The loop on which the whole runtime is simulated: time jumps, order is seeded, and what hangs is reported."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable

import pytest

from durable_core.core.ticks import PER_SECOND
from durable_core.testing.virtual_time import EPOCH, DeadlockError, VirtualClock, run


def test_sleeping_takes_no_real_time_and_exactly_its_virtual_time() -> None:
    async def main() -> list[float]:
        loop = asyncio.get_running_loop()
        seen = [loop.time()]
        for seconds in (0.1, 72 * 3600.0, 1e-3):
            await asyncio.sleep(seconds)
            seen.append(loop.time())
        return seen

    began = time.perf_counter()
    assert run(main()) == pytest.approx([0.0, 0.1, 259200.1, 259200.101], abs=1e-6)
    assert time.perf_counter() - began < 5


def test_timers_fire_in_the_order_of_their_times_whatever_the_seed() -> None:
    async def main() -> list[int]:
        order: list[int] = []

        async def later(number: int) -> None:
            await asyncio.sleep(number)
            order.append(number)

        await asyncio.gather(*(later(number) for number in (5, 1, 4, 2, 3)))
        return order

    for seed in (None, 1, 2, 3):
        assert run(main(), seed=seed) == [1, 2, 3, 4, 5]


def _interleaving() -> Callable[[int | None], str]:
    async def main() -> str:
        text: list[str] = []

        async def speak(letter: str) -> None:
            for _ in range(3):
                await asyncio.sleep(1)
                text.append(letter)

        await asyncio.gather(*(speak(letter) for letter in "abcd"))
        return "".join(text)

    return lambda seed: run(main(), seed=seed)


def test_a_seed_gives_one_order_and_another_seed_another() -> None:
    order = _interleaving()
    assert order(None) == order(None)
    assert [order(seed) for seed in range(10)] == [order(seed) for seed in range(10)]
    assert len({order(seed) for seed in range(10)}) > 5


def test_time_outs_run_on_virtual_time() -> None:
    async def main() -> float:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(asyncio.get_running_loop().create_future(), 3600)
        return asyncio.get_running_loop().time()

    assert run(main()) == 3600


def test_cancelled_timers_do_not_move_the_clock() -> None:
    async def main() -> float:
        loop = asyncio.get_running_loop()
        for _ in range(500):
            loop.call_later(1, lambda: None).cancel()
        loop.call_later(1000, lambda: None).cancel()
        await asyncio.sleep(2)
        return loop.time()

    assert run(main()) == 2


def test_a_deadlock_is_reported_with_the_tasks_that_wait() -> None:
    async def main() -> None:
        forgotten = asyncio.create_task(asyncio.Event().wait(), name="forgotten")
        await asyncio.wait([forgotten])

    with pytest.raises(DeadlockError, match=r"cannot happen any more.*forgotten at "):
        run(main())


def test_a_deadlock_is_seen_when_only_cancelled_timers_are_left() -> None:
    async def main() -> None:
        asyncio.get_running_loop().call_later(5, lambda: None).cancel()
        await asyncio.Event().wait()

    with pytest.raises(DeadlockError):
        run(main())


def test_a_program_that_never_ends_is_stopped_at_the_limit() -> None:
    async def main() -> None:
        for _ in itertools.count():
            await asyncio.sleep(1)

    with pytest.raises(DeadlockError, match="within 100 virtual seconds"):
        run(main(), limit=100)


def test_a_program_that_spins_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("durable_core.testing.virtual_time._MOST_TURNS", 1000)

    async def main() -> None:
        for _ in itertools.count():
            await asyncio.sleep(0)

    with pytest.raises(DeadlockError, match="spins"):
        run(main())


def test_many_turns_are_no_spinning_when_time_passes_between_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("durable_core.testing.virtual_time._MOST_TURNS", 1000)

    async def main() -> float:
        for _ in range(2000):
            await asyncio.sleep(0.5)
        return asyncio.get_running_loop().time()

    assert run(main()) == 1000


@pytest.mark.parametrize("seed", [None, 7])
def test_the_clock_stands_still_while_a_thread_works(seed: int | None) -> None:
    async def main() -> tuple[float, float]:
        loop = asyncio.get_running_loop()
        alarm = asyncio.create_task(asyncio.sleep(10))
        await asyncio.to_thread(time.sleep, 0.05)
        after = loop.time()
        await alarm
        return after, loop.time()

    assert run(main(), seed=seed) == (0, 10)


def test_the_main_result_and_error_come_out_and_the_rest_is_cancelled() -> None:
    ended: list[str] = []
    tasks: list[asyncio.Task[None]] = []

    async def background() -> None:
        try:
            await asyncio.sleep(1e9)
        finally:
            ended.append("background")

    async def good() -> int:
        tasks.append(asyncio.create_task(background()))
        await asyncio.sleep(1)
        return 42

    async def bad() -> None:
        tasks.append(asyncio.create_task(background()))
        await asyncio.sleep(1)
        raise ValueError("no")

    assert run(good()) == 42
    with pytest.raises(ValueError, match="no"):
        run(bad())
    assert ended == ["background"] * 2


def test_a_virtual_clock_follows_the_loop() -> None:
    async def main() -> tuple[int, int]:
        loop = asyncio.get_running_loop()
        clock, fast = VirtualClock(loop), VirtualClock(loop, skew=1.5)
        await asyncio.sleep(90)
        return clock.now() - EPOCH, fast.now() - clock.now()

    assert run(main()) == (90 * PER_SECOND, 15_000_000)


def test_what_misses_its_cancellation_at_the_end_is_cancelled_again() -> None:
    cancellations = 0

    async def stubborn() -> None:
        nonlocal cancellations
        while True:
            try:
                await asyncio.sleep(1)
            except asyncio.CancelledError:
                cancellations += 1
                if cancellations == 2:
                    raise

    async def main() -> None:
        rest.append(asyncio.create_task(stubborn()))
        await asyncio.sleep(5)

    rest: list[asyncio.Task[None]] = []
    run(main())
    assert cancellations == 2
    assert rest[0].cancelled()
