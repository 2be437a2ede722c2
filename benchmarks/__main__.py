"""Prints one table: what was measured, what must hold, and the unit that it is told in."""

from __future__ import annotations

import argparse
import asyncio
import csv
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.calibration import BareAzurite, bare_sequence, machine_unit, put_latency, put_rate
from benchmarks.harness import Bench, fresh_azurite, in_memory, on_azurite
from benchmarks.replay import replay_cost
from benchmarks.workers import FAN, measure
from durable_core.storage.settings import ConnectionSettings

_ROUNDS = 3
"""Fresh Azurites on which one worker and many take turns."""
_FEWEST_TURNS = 4


@dataclass(frozen=True)
class Line:
    """One row of the table; ``holds`` is None where nothing is demanded."""

    work: str
    measured: str
    must: str = ""
    holds: bool | None = None


async def bare(settings: ConnectionSettings) -> BareAzurite:
    azurite = BareAzurite(settings.queue_endpoint, settings.table_endpoint)
    await azurite.create_queue("calibration")
    return azurite


async def calibrate(settings: ConnectionSettings) -> tuple[float, float]:
    """(p, R) of this Azurite: seconds of one raw put, raw puts per second."""
    azurite = await bare(settings)
    latency = await put_latency(azurite, "calibration")
    rate = await put_rate(azurite, "calibration")
    await azurite.close()
    return latency, rate


async def one_hello5() -> list[Line]:
    async with fresh_azurite() as settings, on_azurite(settings) as bench:
        await bench.run("hello5")
        before = bench.calls_by_kind()
        await bench.run("hello5")
        after = bench.calls_by_kind()
    kinds = {kind: after[kind] - before.get(kind, 0) for kind in after if after[kind] != before.get(kind, 0)}
    total = sum(kinds.values())
    shown = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
    return [Line("storage calls of one hello5 alone", f"{total} ({shown})", "<= 27", total <= 27)]


async def hello3_latency() -> list[Line]:
    async with fresh_azurite() as settings:
        latency, _ = await calibrate(settings)
    async with fresh_azurite() as settings, on_azurite(settings) as bench:
        samples = await _latencies(bench, 60)
    p50 = statistics.median(samples)
    p95 = statistics.quantiles(samples, n=20)[18]
    return [
        Line("one raw queue put, p50 (p)", f"{latency * 1000:.2f} ms"),
        Line(
            "hello3 latency on Azurite, p50 / p95",
            f"{p50 * 1000:.1f} / {p95 * 1000:.1f} ms = {p50 / latency:.1f} p",
            "<= 30 p",
            p50 <= 30 * latency,
        ),
    ]


async def _latencies(bench: Bench, times: int) -> list[float]:
    samples = []
    for number in range(times + 5):
        begin = time.perf_counter()
        await bench.run("hello3")
        if number >= 5:
            samples.append(time.perf_counter() - begin)
    return samples


async def hello5_throughput() -> list[Line]:
    async with fresh_azurite() as settings:
        _, rate = await calibrate(settings)
    async with fresh_azurite() as settings, on_azurite(settings) as bench:
        await bench.run("hello5")
        begin = time.perf_counter()
        await asyncio.gather(*(bench.run("hello5") for _ in range(200)))
        throughput = 200 / (time.perf_counter() - begin)
    return [
        Line("raw queue puts, 16 in flight (R)", f"{rate:.0f}/s"),
        Line(
            "200 hello5 started at once",
            f"{throughput:.1f}/s = {throughput / rate:.4f} R",
            ">= 0.022 R",
            throughput >= 0.022 * rate,
        ),
    ]


async def fan_out() -> list[Line]:
    async with fresh_azurite() as settings:
        _, rate = await calibrate(settings)
    async with fresh_azurite() as settings, on_azurite(settings) as bench:
        await bench.run("hello5")
        begin = time.perf_counter()
        await bench.run("fan_out", "1000")
        seconds = time.perf_counter() - begin
    return [
        Line(
            "fan-out of 1,000 activities on Azurite",
            f"{seconds:.2f} s = {seconds * rate:.0f} / R",
            "<= 8,000 / R",
            seconds <= 8000 / rate,
        )
    ]


async def sequences() -> list[Line]:
    seconds, raw = {}, {}
    for length in (100, 1000):
        async with fresh_azurite() as settings:
            azurite = await bare(settings)
            await azurite.create_table("BareHistory")
            raw[length] = await bare_sequence(azurite, "BareHistory", "calibration", "x", length)
            await azurite.close()
        async with fresh_azurite() as settings, on_azurite(settings) as bench:
            await bench.run("hello5")
            begin = time.perf_counter()
            await bench.run("sequence", str(length))
            seconds[length] = time.perf_counter() - begin
    ratio, bare_ratio = seconds[1000] / seconds[100], raw[1000] / raw[100]
    return [
        Line(
            "sequence of 1,000 against 100 on Azurite",
            f"{ratio:.1f} x (bare requests: {bare_ratio:.1f} x)",
            "<= 1.3 x the bare ratio",
            ratio <= 1.3 * bare_ratio,
        )
    ]


async def idle(minutes: float) -> list[Line]:
    async with fresh_azurite() as settings, on_azurite(settings) as bench:
        counters = [bench.calls, *bench.lease_calls]
        before = sum(counter.total for counter in counters)
        await asyncio.sleep(minutes * 60)
        calls = (sum(counter.total for counter in counters) - before) / minutes
    return [Line(f"idle storage calls, average of {minutes:g} min", f"{calls:.1f}/min", "<= 25/min", calls <= 25)]


async def memory_work() -> list[Line]:
    unit = machine_unit()
    async with in_memory() as bench:
        await asyncio.gather(*(bench.run("hello3") for _ in range(50)))
        rates = []
        for _ in range(5):  # the machine's own pace changes within seconds: the best tells what the code costs
            begin = time.perf_counter()
            await asyncio.gather(*(bench.run("hello3") for _ in range(1000)))
            rates.append(1000 / (time.perf_counter() - begin))
        fans = []
        for _ in range(3):
            begin = time.perf_counter()
            await bench.run("fan_out", "1000")
            fans.append(time.perf_counter() - begin)
        ratios = []
        for _ in range(9):
            seconds = {}
            for length in (100, 1000):
                begin = time.perf_counter()
                await bench.run("sequence", str(length))
                seconds[length] = time.perf_counter() - begin
            ratios.append(seconds[1000] / seconds[100])
    rate, fan, ratio, cost = max(rates), min(fans), statistics.median(ratios), replay_cost()
    return [
        Line("calibration loop (JSON and gzip of a fixed document)", f"{unit:.0f}/s"),
        Line("hello3 in memory", f"{rate:.0f}/s = {rate / unit:.3f} per calibration round", ">= 500/s", rate >= 500),
        Line("fan-out of 1,000 in memory", f"{fan:.3f} s", "<= 0.4 s", fan <= 0.4),
        Line("sequence of 1,000 against 100 in memory", f"{ratio:.2f} x", "<= 10.5 x", ratio <= 10.5),
        Line("replay per past activity, decoded", f"{cost * 1e6:.1f} us", "<= 10 us", cost <= 10e-6),
    ]


async def replaying() -> list[Line]:
    """What decoding and replaying a history costs, and what a wide fan-out costs more than its share."""
    sequence = {}
    for force_replay in (False, True):
        async with in_memory(force_replay=force_replay) as bench:
            await bench.run("sequence", "100")
            begin = time.perf_counter()
            await bench.run("sequence", "1000")
            sequence[force_replay] = time.perf_counter() - begin
    per_event = (sequence[True] - sequence[False]) / 500_000
    fans: dict[int, list[float]] = {1000: [], 10_000: []}
    async with in_memory() as bench:
        await bench.run("fan_out", "1000")
        for _ in range(5):  # in turns: the machine's own pace changes within seconds
            for width, rounds in fans.items():
                begin = time.perf_counter()
                await bench.run("fan_out", str(width))
                rounds.append(time.perf_counter() - begin)
    narrow, wide = (statistics.median(rounds) for rounds in fans.values())
    wider = wide / narrow
    return [
        Line(
            "forced replay per past activity, decoding included",
            f"{per_event * 1e6:.1f} us",
            "<= 20 us",
            per_event <= 20e-6,
        ),
        Line(
            "fan-out of 10,000 against 1,000 in memory",
            f"{wide:.2f} s = {wider:.1f} x",
            "<= 11 x",
            wider <= 11,
        ),
    ]


async def hot_costs() -> list[Line]:
    from benchmarks.hot_calls import hot_call_costs

    return [
        Line(
            f"processor time of one {name}",
            f"{hot * 1e3:.2f} ms = {hot / plain:.2f} x bare (SDK: {sdk / plain:.1f} x)",
            "<= 1.5 x bare",
            hot <= 1.5 * plain,
        )
        for name, (plain, hot, sdk) in (await hot_call_costs()).items()
    ]


async def host_memory() -> list[Line]:
    from benchmarks.host_memory import growth, host_rss

    rss, grown = await host_rss(), await growth()
    return [
        Line("host process alone, VmRSS after 100 hello3", f"{rss:.0f} MiB", "<= 100 MiB", rss <= 100),
        Line("growth by 10,000 finished hello3, in memory, purged", f"{grown:.1f} MiB", "<= 8 MiB", grown <= 8),
    ]


async def management() -> list[Line]:
    from benchmarks.management import purge_and_list_calls, status_rate

    purge, page = await purge_and_list_calls()
    rate, start = await status_rate()
    return [
        Line("purge of 10,000 hello3, calls each beyond listing", f"{purge:.2f}", "<= 4", purge <= 4),
        Line("list of 10,000 instances, calls per page of 100", f"{page:.2f}", "<= 1", page <= 1),
        Line("status requests through the standalone host", f"{rate:.0f}/s", ">= 200/s", rate >= 200),
        Line("durable instances list, start to end", f"{start:.2f} s", "<= 0.5 s", start <= 0.5),
    ]


async def starting() -> list[Line]:
    from benchmarks.start_up import StartUp, alone, with_emulator

    def line(what: str, found: StartUp | None, most: float) -> Line:
        if found is None:
            return Line(what, "not measured: an emulator runs on the usual ports")
        told = f"{found.answered:.2f} s, completed {found.completed:.2f} s, processor {found.processor:.2f} s"
        return Line(what, told, f"<= {most:g} s", found.answered <= most)

    return [
        Line("calibration loop (JSON and gzip of a fixed document)", f"{machine_unit():.0f}/s"),
        line("durable start to its first answer, Azurite runs", await with_emulator(), 2),
        line("durable start to its first answer, Azurite too", await alone(), 3),
    ]


async def many_workers() -> list[Line]:
    counts = (1, 2, 4)
    measured = await measure(counts, _ROUNDS)
    if len(measured) < _FEWEST_TURNS:
        raise RuntimeError(f"{len(measured)} turns ended in time, which says nothing: the machine is too slow, or busy")
    lines = []
    for count in counts:
        rate = [turns[count].hello5 / turns[1].hello5 for turns in measured]
        fan = [turns[count].fan_out / turns[1].fan_out for turns in measured]
        processes = f"{count} worker process{'' if count == 1 else 'es'}"
        hello5, calls, processor, seconds, fan_calls = (
            statistics.median(getattr(turns[count], name) for turns in measured)
            for name in ("hello5", "calls", "processor", "fan_out", "fan_out_calls")
        )
        lines += [
            Line(
                f"hello5 with {processes}",
                f"{hello5:.1f}/s = {_middle(rate)}, {calls:.1f} calls, {processor:.0f} ms",
                ">= 1 x" if count > 1 else "",
                statistics.median(rate) >= 1 if count > 1 else None,
            ),
            Line(
                f"fan-out of {FAN} with {processes}",
                f"{seconds:.2f} s = {_middle(fan)}, {fan_calls:.2f} calls each",
                "<= 1 x" if count == 2 else "",
                statistics.median(fan) <= 1 if count == 2 else None,
            ),
        ]
    return lines


def _middle(ratios: list[float]) -> str:
    """The median, and between what the middle half lies."""
    low, median, high = statistics.quantiles(ratios, n=4)
    return f"{median:.2f} x ({low:.2f} to {high:.2f})"


async def entity_work() -> list[Line]:
    from benchmarks.entities import azurite_costs, memory_rate, scheduler_rate

    one, many, call = await azurite_costs()
    rate, alone = await memory_rate(), scheduler_rate()
    return [
        Line("1,000 signals to one entity, calls beyond each put", f"{one:.2f}", "<= 1.3", one <= 1.3),
        Line("1,000 signals to 1,000 entities, calls each", f"{many:.2f}", "<= 6", many <= 6),
        Line("call of a warm entity, calls in all", f"{call:.1f}", "<= 9", call <= 9),
        Line("operations on one entity in memory", f"{rate:.0f}/s", ">= 5000/s", rate >= 5000),
        Line("operations of the entity scheduler alone", f"{alone:.0f}/s"),
    ]


MEASUREMENTS = {
    "start": starting,
    "memory": memory_work,
    "replay": replaying,
    "hot": hot_costs,
    "calls": one_hello5,
    "latency": hello3_latency,
    "throughput": hello5_throughput,
    "fan-out": fan_out,
    "sequence": sequences,
    "workers": many_workers,
    "entities": entity_work,
    "host": host_memory,
    "management": management,
}


def show(lines: list[Line]) -> None:
    for line in lines:
        verdict = "" if line.holds is None else "ok" if line.holds else "MISSED"
        print(f"{line.work:<54} {line.measured:<66} {line.must:<24} {verdict}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("only", nargs="*", choices=[[], *MEASUREMENTS, "idle"], help="measure only these")
    parser.add_argument("--idle-minutes", type=float, default=5.0)
    parser.add_argument("--csv", type=Path, help="also write the table here")
    arguments = parser.parse_args()
    wanted = arguments.only or [*MEASUREMENTS, "idle"]
    lines: list[Line] = []
    for name in wanted:
        # Each measurement has an interpreter of its own, so that none is slowed by what another left in memory.
        if len(wanted) > 1:
            command = [sys.executable, "-m", "benchmarks", name, "--idle-minutes", str(arguments.idle_minutes)]
            subprocess.run(command, check=False)
            continue
        work = idle(arguments.idle_minutes) if name == "idle" else MEASUREMENTS[name]()
        lines += asyncio.run(work)
        show(lines)
    if arguments.csv and lines:
        with arguments.csv.open("a", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([line.work, line.measured, line.must, line.holds] for line in lines)
    return 1 if any(line.holds is False for line in lines) else 0


if __name__ == "__main__":
    sys.exit(main())
