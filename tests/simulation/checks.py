"""What must hold at the end of a run, whatever happened in it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence

from durable_core.core.entity_state import SchedulerState
from durable_core.core.episode import run_episode
from durable_core.core.history import EventSent as Sent
from durable_core.core.history import ExecutionCompleted as Completed
from durable_core.core.history import (
    ExecutionStarted,
    GenericEvent,
    HistoryEvent,
    OrchestrationStatus,
    OrchestratorCompleted,
    OrchestratorStarted,
    SubOrchestrationInstanceCreated,
    TaskScheduled,
    TimerCreated,
)
from durable_core.core.replay import OrchestrationRun
from durable_core.core.state import RuntimeState, settled_id
from durable_core.taskhub.hub import TaskHub
from durable_core.taskhub.instance_query import InstanceFilter
from durable_core.taskhub.instance_table import InstanceStatus
from durable_core.text_client import TextClient
from tests.simulation import entity_programs
from tests.simulation.leftovers import check_leftovers
from tests.simulation.plan import Instance, Plan
from tests.simulation.programs import Program, children, hangs, output
from tests.simulation.scene import Scene

_DECIDED = (TaskScheduled, TimerCreated, SubOrchestrationInstanceCreated, Sent, Completed)


async def check(scene: Scene, plan: Plan) -> None:
    """Raise AssertionError for the first promise that was broken."""
    assert not scene.hand_overs.broken, scene.hand_overs.broken
    client = scene.client("observer")
    hub = TaskHub(scene.storage.account("observer"), scene.names, scene.random)
    rows = {row.instance_id: row async for row in client.all_instances(InstanceFilter(include_entities=True))}
    for instance in plan.instances:
        _check_outcome(instance, rows.get(instance.name))
    _check_names(plan, rows)
    for key, row in rows.items():
        assert row.runtime_status.is_finished or key.startswith("@"), f"{key} never ended: {row}"
        await _check_history(scene, hub, row)
    await _check_accounts(scene, client, plan)
    await check_leftovers(scene, hub, rows)


def _check_outcome(instance: Instance, row: InstanceStatus | None) -> None:
    last = instance.lives[-1]
    if last.purge:
        assert row is None, f"{instance.name} was purged and is there again: {row}"
        return
    assert row is not None, f"{instance.name} is lost"
    status = row.runtime_status
    if instance.kind == "accountant":
        wanted = entity_programs.status(last.program)
        assert status.name == wanted, f"{instance.name} should have {wanted}: {row}"
        assert wanted == "Completed" or row.output == "as planned", row
        return
    program = last.program
    if status is OrchestrationStatus.Terminated and last.fate.startswith("terminate"):
        assert row.output == "as planned", row
        return
    assert not hangs(program), f"{instance.name} should hang: {row}"
    assert status is OrchestrationStatus.Completed, f"{instance.name} is {status}: {row}"
    assert json.loads(row.output or "null") == output(program), f"{instance.name}: {(row.output or '')[:300]}"
    shown = json.dumps({"done": len(program)}) if (_rest(program) if last.again else program) else None
    assert row.custom_status == shown, f"{instance.name} shows {row.custom_status}, not {shown}"


def _check_names(plan: Plan, rows: dict[str, InstanceStatus]) -> None:
    """Every orchestration is there once. One that was terminated may not have come to start all its children."""
    found: Counter[str] = Counter()
    for key, row in rows.items():
        if not key.startswith("@"):
            found[json.loads(row.input or "{}").get("name", key)] += 1
    least: Counter[str] = Counter()
    most: Counter[str] = Counter()
    for instance in plan.instances:
        for number, life in enumerate(instance.lives):
            names: Counter[str] = Counter()
            if instance.kind == "interpreter":
                names.update(children(_rest(life.program) if life.again else life.program))
            most += names
            if not life.fate.startswith("terminate"):
                least += names
            if number == len(instance.lives) - 1 and not life.purge:
                name = _own_name(instance, number)
                least[name] += 1
                most[name] += 1
    assert least <= found, f"orchestrations are lost: {least - found}"
    assert found <= most, f"orchestrations are doubled: {found - most}"


def _own_name(instance: Instance, number: int) -> str:
    while instance.lives[number].again:
        number -= 1
    return f"{instance.name}/{number + 1}"


def _rest(program: Program) -> Program:
    """What the last generation still had to do: a restart takes the input of that."""
    last = max((index for index, step in enumerate(program) if step[0] == "continue"), default=-1)
    return program[last + 1 :]


# ---- histories -------------------------------------------------------------------------------------------------------


async def _check_history(scene: Scene, hub: TaskHub, row: InstanceStatus) -> None:
    """It is whole, agrees with the row, records each reply once, and running its code again gives the same history."""
    key = row.instance_id
    loaded = await hub.history.load(key)
    assert loaded.is_complete and not loaded.partial_rows, f"{key}: a checkpoint was cut off and never repaired"
    events = loaded.events
    if not events:
        assert row.runtime_status is OrchestrationStatus.Terminated, f"{key} has no history: {row}"
        return
    state = RuntimeState(events)
    never_ran = row.runtime_status is OrchestrationStatus.Terminated and row.generation
    if never_ran and row.execution_id != state.execution_id:
        return  # it was terminated before it began; the history is that of the run before
    assert row.execution_id == state.execution_id, f"the row of {key} is of another run: {row}"
    assert row.last_updated_time == events[-1].timestamp, f"the row of {key} is behind: {row}"
    if key.startswith("@"):
        assert len(events) == 3, f"{key} has {len(events)} rows"
        return
    assert row.runtime_status is state.status, f"the row of {key} disagrees: {row}"
    replies = [reply for reply in map(settled_id, events) if reply is not None]
    is_rewound = any(isinstance(event, GenericEvent) for event in events)
    assert is_rewound or len(replies) == len(set(replies)), f"{key}: a reply is recorded twice"
    assert sum(isinstance(event, Completed) for event in events) == 1, key
    _check_replay(scene, key, state)
    if not is_rewound:
        _check_rerun(scene, key, events)


def _check_replay(scene: Scene, key: str, state: RuntimeState) -> None:
    assert state.started is not None and state.completed is not None
    orchestrator = scene.functions.orchestrator(state.started.name)
    assert orchestrator is not None
    run = OrchestrationRun(orchestrator, state.events)
    run.feed(state.events, replaying=True)
    decisions = run.take_decisions()
    assert len(decisions) == 1, f"{key}: replay decides {decisions} beyond its history"
    end = decisions[0]
    assert getattr(end, "result", None) == state.completed.result, f"{key}: replay ends in {end}"


def _check_rerun(scene: Scene, key: str, events: Sequence[HistoryEvent]) -> None:
    """Episode by episode: what the code decides from what was received is what was recorded."""
    state = RuntimeState()
    run: OrchestrationRun | None = None
    recorded: list[HistoryEvent] = []
    for episode in _episodes(events):
        recorded += episode
        last = episode[-1]
        if isinstance(last, OrchestratorCompleted) and last.is_played:  # begins a generation; its decisions follow
            state.extend(episode)
            continue
        started = next((event for event in (*state.events, *episode) if isinstance(event, ExecutionStarted)), None)
        assert started is not None, key
        orchestrator = scene.functions.orchestrator(started.name)
        assert orchestrator is not None
        if not isinstance(episode[0], OrchestratorStarted):
            # The first decisions of a generation, made in the episode of the one before.
            run = OrchestrationRun(orchestrator, state.events)
            run.feed(state.events, replaying=False)
            decided = {decision.id for decision in run.take_decisions()}
            wrote = {event.event_id for event in episode if isinstance(event, _DECIDED) and event.event_id >= 0}
            assert wrote <= decided, f"{key}: {wrote} was recorded, {decided} decided"
            state.extend(episode)
            run = None
            continue
        received = [event for event in episode[1:-1] if not isinstance(event, _DECIDED)]
        result, run = run_episode(state, run, orchestrator, received, now=episode[0].timestamp)
        state = result.state
        assert state.events == recorded, (
            f"{key}: another run of the episode at {episode[0].timestamp} gives\n"
            f"{state.events[-len(episode) :]}\nand recorded is\n{episode}"
        )


def _episodes(events: Sequence[HistoryEvent]) -> Iterator[list[HistoryEvent]]:
    begin = 0
    for index, event in enumerate(events):
        if isinstance(event, OrchestratorCompleted):
            yield list(events[begin : index + 1])
            begin = index + 1
    assert begin == len(events), "the history does not end with an episode"


# ---- accounts --------------------------------------------------------------------------------------------------------


async def _check_accounts(scene: Scene, client: TextClient, plan: Plan) -> None:
    """One effect for each message, in its sender's order, and every lock released."""
    wanted: dict[str, Counter[str]] = {key: Counter() for key in entity_programs.ACCOUNTS}
    balances = dict.fromkeys(entity_programs.ACCOUNTS, 0)
    ordered: list[dict[str, list[str]]] = []
    adds = [(token, key, amount) for token, key, amount, _ in plan.signals]
    for instance in plan.instances:
        if instance.kind == "accountant":
            effects = entity_programs.effects(instance.lives[-1].program)
            ordered.append(effects.ordered)
            adds += [(token, key, amount) for token, (key, amount) in effects.adds.items()]
    for token, key, amount in adds:
        wanted[key][token] += 1
        balances[key] += amount
    for key in entity_programs.ACCOUNTS:
        row = await client.get_status(str(entity_programs.account(key)))
        if row is None:
            assert not wanted[key], f"account {key} is lost"
            continue
        scheduler = SchedulerState.decode(row.input)
        assert (scheduler.locked_by, list(scheduler.queue), scheduler.sorter.waiting) == (None, [], 0), (
            f"account {key} is locked, or has work left: {row.input}"
        )
        state = json.loads(scheduler.state or '{"balance":0,"tokens":[]}')
        got = Counter(state["tokens"])
        assert got == wanted[key], f"account {key}: lost {wanted[key] - got}, doubled {got - wanted[key]}"
        assert state["balance"] == balances[key], f"account {key} has {state['balance']}, not {balances[key]}"
        for orders in ordered:
            mine = orders.get(key, [])
            assert [token for token in state["tokens"] if token in set(mine)] == mine, f"account {key}: order of {mine}"
