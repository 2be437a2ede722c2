"""What one run of the simulation does, as data: made from a seed, kept as JSON, made smaller when it fails."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from random import Random
from typing import Any

from tests.simulation import entity_programs
from tests.simulation.programs import Program, add_flaky, add_hang, random_program

OUTAGES = ("everything", "messages", "leases", "queues", "tables")
"""What a process cannot reach during an outage."""
LONGEST_LATE = 60.0
"""Seconds from a request to its effect at most."""


@dataclass(frozen=True)
class Fault:
    """Something that happens to a process of the simulation.

    Attributes:
        process: which: workers are counted from 0 in the order in which they start, clients are the instances' names.
        call: at this storage call of it, counted from 1; of kind ``split``: at so many batches of split checkpoints.
        kind: ``kill``, ``split`` (a kill between two batches), ``fail``, ``slow``, ``late`` (the service acts when the
            process waits no longer), ``sleep`` (the whole process stands still), ``outage``, ``stop`` (it is told to
            stop, and does so in good order).
        after: behind the effect of the call instead of before it.
        value: callbacks until the kill, or seconds.
        what: of an outage; of a late call: ``repeated`` if the process's storage client sends it again by itself.
    """

    process: int | str
    call: int
    kind: str
    after: bool = False
    value: float = 0
    what: str = ""


@dataclass(frozen=True)
class Life:
    """One run of an instance.

    Attributes:
        program: its steps.
        fate: ``run``; ``rewind`` after each failure; ``terminate``, also ``terminate all`` (with its children).
        wait: seconds before the start, before the termination, and before what comes afterwards.
        start_at: seconds from its start message for which it stays scheduled.
        pause: seconds into the run and seconds for which it is suspended.
        purge: remove it when it has ended.
        again: restart the life before it, with its input, instead of starting this program.
    """

    program: Program
    fate: str = "run"
    wait: tuple[float, float, float] = (0, 0, 0)
    start_at: float | None = None
    pause: tuple[float, float] | None = None
    purge: bool = False
    again: bool = False


@dataclass(frozen=True)
class Instance:
    """One instance id and its lives; ``kind`` is that of its programs: ``interpreter`` or ``accountant``."""

    name: str
    kind: str
    lives: tuple[Life, ...]
    is_local: bool = False
    """Its client lives in the process of a worker, for as long as that lives."""
    skew: float = 0
    """Seconds by which its client's clock is wrong."""


@dataclass(frozen=True)
class Plan:
    """One run.

    Attributes:
        seed: of the scheduler, of ids and of pauses.
        workers: processes that run at the same time.
        signals: of clients to accounts: token, account, amount, seconds of delay.
        oddities: shares of messages that are doubled and delayed, and of receives that bring less than there is.
    """

    seed: int
    workers: int = 1
    partitions: int = 4
    management: str = "table"
    settings: dict[str, Any] = field(default_factory=dict)
    instances: tuple[Instance, ...] = ()
    signals: tuple[tuple[str, str, int, float | None], ...] = ()
    faults: tuple[Fault, ...] = ()
    oddities: float = 0

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @staticmethod
    def from_json(text: str) -> Plan:
        """The plan of ``to_json``."""
        found = json.loads(text)
        found["faults"] = tuple(Fault(**fault) for fault in found["faults"])
        found["signals"] = tuple(tuple(signal) for signal in found["signals"])
        found["instances"] = tuple(
            Instance(**{**instance, "lives": tuple(_life(life) for life in instance["lives"])})
            for instance in found["instances"]
        )
        return Plan(**found)


def _life(found: dict[str, Any]) -> Life:
    pause = found["pause"]
    return Life(**{**found, "wait": tuple(found["wait"]), "pause": pause and tuple(pause)})


def random_plan(seed: int) -> Plan:
    """The plan of a seed."""
    random = Random(f"{seed}/plan")
    settings = {
        "max_concurrent_activities": random.choice([1, 3, 20]),
        "max_concurrent_orchestrators": random.choice([1, 3, 20]),
        "max_concurrent_entities": random.choice([1, 20]),
        "session_cache_size": random.choice([1, 1000]),
        "force_replay": random.random() < 0.2,
        "batch_limit": random.choice([1, 3, 5000]),
    }
    count = random.randint(1, 4)
    instances = [_instance(random, f"i{number}") for number in range(count)]
    has_accounts = any(instance.kind == "accountant" for instance in instances)
    signals = [
        (f"client/{number}", random.choice(entity_programs.ACCOUNTS), random.randint(1, 9), _delay(random))
        for number in range(random.choice([0, 3, 12]) if has_accounts else 0)
    ]
    workers = random.randint(1, 3)
    return Plan(
        seed,
        workers,
        partitions=random.choice([1, 2, 4]),
        management=random.choice(["table", "table", "blob"]),
        settings=settings,
        instances=tuple(instances),
        signals=tuple(signals),
        faults=(*_faults(random, workers, instances), *_late(Random(f"{seed}/late"), workers, instances)),
        oddities=random.choice([0, 0, 0.02, 0.2]),
    )


def _delay(random: Random) -> float | None:
    return random.choice([None, None, 0, 40])


def _instance(random: Random, name: str) -> Instance:
    kind = "accountant" if random.random() < 0.3 else "interpreter"
    is_local = random.random() < 0.4
    common: dict[str, Any] = {"is_local": is_local, "skew": 0 if is_local else random.choice([0, 0, -300, 300])}
    if kind == "accountant":
        program = entity_programs.random_program(random, name)
        return Instance(name, kind, (Life(program, wait=_waits(random)),), **common)
    lives = [_one_life(random, f"{name}.0")]
    while random.random() < 0.35 and len(lives) < 3:
        last = lives[-1]
        if not last.purge and last.fate == "run" and random.random() < 0.3:
            lives.append(replace(last, wait=_waits(random), again=True, start_at=None, purge=random.random() < 0.3))
        else:
            lives.append(_one_life(random, f"{name}.{len(lives)}"))
    return Instance(name, kind, tuple(lives), **common)


def _one_life(random: Random, name: str) -> Life:
    program = random_program(random, name)
    fate = random.choice(["run", "run", "run", "rewind", "terminate", "terminate all"])
    if fate == "rewind":
        # What is sent to an instance that has just failed is refused, or dropped.
        program = [step for step in program if step[0] not in ("event", "flood")]
        for number in range(random.choice([1, 1, 2])):
            add_flaky(random, program, f"{name}.f{number}")
    elif fate.startswith("terminate") and random.random() < 0.7:
        add_hang(random, program, name)
        if fate == "terminate":
            program = [step for step in program if step[0] not in ("child", "children")]
            program.append(["hang", None])
    return Life(
        program,
        fate,
        _waits(random),
        start_at=random.choice([1.0, 20.0, 90.0]) if random.random() < 0.15 else None,
        pause=(random.uniform(0, 40), random.uniform(1, 60)) if random.random() < 0.25 else None,
        purge=random.random() < 0.3,
    )


def _waits(random: Random) -> tuple[float, float, float]:
    first = random.uniform(0, 30) if random.random() < 0.7 else 0.0
    return (first, random.choice([0, 0.1, random.uniform(0, 60)]), random.choice([0, 0, random.uniform(0, 40)]))


def _faults(random: Random, workers: int, instances: list[Instance]) -> list[Fault]:
    faults: list[Fault] = []
    processes = range(workers + 4)
    for _ in range(random.randint(0, 5)):
        calls = random.choice([30, 120, 400])
        faults.append(
            Fault(
                random.choice(processes),
                random.randint(10, calls),
                "kill",
                after=random.random() < 0.5,
                value=random.randint(0, 12),
            )
        )
    if random.random() < 0.5:
        faults.append(Fault(random.randrange(workers), random.randint(1, 3), "split", after=True))
    for kind, longest in (("sleep", 70), ("outage", 50), ("stop", 0)):
        for _ in range(random.choice([0, 0, 1, 2])):
            value = random.uniform(0, longest)
            what = random.choice(OUTAGES) if kind == "outage" else ""
            faults.append(Fault(random.choice(processes), random.randint(10, 300), kind, value=value, what=what))
    rate = random.choice([0, 0, 0.005, 0.03])
    for process in processes:
        for call in range(1, 1500):
            chance = random.random()
            if chance < rate:
                faults.append(Fault(process, call, "fail", after=random.random() < 0.5))
            elif chance < 1.3 * rate:
                faults.append(Fault(process, call, "slow", random.random() < 0.5, random.choice([0.05, 2, 21])))
    for instance in instances:
        if rate:
            for call in range(1, 60):
                if random.random() < 0.04:
                    faults.append(Fault(instance.name, call, "fail", after=random.random() < 0.5))
    return faults


def _late(random: Random, workers: int, instances: list[Instance]) -> list[Fault]:
    rate = random.choice([0, 0, 0.003, 0.02])
    if not rate:
        return []
    callers: list[tuple[int | str, int]] = [(process, 1500) for process in range(workers + 4)]
    callers += [(instance.name, 60) for instance in instances]
    return [
        Fault(
            process,
            call,
            "late",
            value=random.choice([random.uniform(0.5, 5), random.uniform(5, LONGEST_LATE)]),
            what=random.choice(["", "repeated"]),
        )
        for process, calls in callers
        for call in range(1, calls)
        if random.random() < rate
    ]
