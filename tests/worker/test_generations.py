"""Children, generations and versions through the whole worker: what is stored, what a crash leaves, what it costs."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from durable_core.core.history import ExecutionCompleted, OrchestrationStatus
from durable_core.core.replay import OrchestrationRun
from durable_core.core.retry import RetryPolicy
from durable_core.core.tasks import WhenAllTask
from durable_core.core.ticks import PER_SECOND
from durable_core.core.versioning import VersionFailure, Versioning, VersionMatch
from durable_core.storage.memory import StorageCall
from durable_core.testing.virtual_time import run
from tests.worker.sample import ACTIVITIES, ORCHESTRATORS
from tests.worker.world import Steps, World, call, decode, encode, finish, functions


def child(run: OrchestrationRun, name: str, input: Any = None, **more: Any) -> Any:
    return run.call_sub_orchestration(name, encode(input), decode, **more)


def parent(run: OrchestrationRun) -> Steps:
    return (yield WhenAllTask([child(run, "echo", number) for number in range(decode(run.input))]))


def echo(run: OrchestrationRun) -> Steps:
    return (yield call(run, "say", decode(run.input)))


def parent_of_failing(run: OrchestrationRun) -> Steps:
    try:
        yield child(run, "fails")
    except Exception as error:
        return f"caught {error}"


def parent_of_unknown(run: OrchestrationRun) -> Steps:
    return (yield child(run, "nowhere"))


def starts_and_tells(run: OrchestrationRun) -> Steps:
    started = run.start_orchestration("waiter", None, instance_id="told")
    run.send_event(started, "go", encode("now"))
    yield from ()
    return started


def retries(run: OrchestrationRun) -> Steps:
    return (yield run.call_with_retry(RetryPolicy(5 * PER_SECOND, 3), lambda: call(run, "boom", "x")))


def counts(run: OrchestrationRun) -> Steps:
    number = decode(run.input) or 0
    yield call(run, "say", number)
    if number >= 200:
        return number
    run.continue_as_new(str(number + 1))


def spins(run: OrchestrationRun) -> Any:
    number = decode(run.input) or 0
    if number >= 70:
        return number
    run.continue_as_new(str(number + 1))
    return None


def spreads(run: OrchestrationRun) -> Steps:
    """The second generation begins with more events than one transaction holds."""
    if run.input is None:
        yield run.wait_for_event("go", decode)
        run.continue_as_new('"second"')
        return None
    results = yield WhenAllTask([call(run, "say", number) for number in range(250)])
    return len(results)


def large_inputs(run: OrchestrationRun) -> Steps:
    number, _ = decode(run.input)
    yield call(run, "say", number)
    if number == 3:
        return number
    run.continue_as_new(json.dumps([number + 1, "x" * 40_000]))


MORE = {
    body.__name__: body
    for body in (
        parent,
        echo,
        parent_of_failing,
        parent_of_unknown,
        starts_and_tells,
        retries,
        counts,
        spins,
        spreads,
        large_inputs,
    )
}
FUNCTIONS = functions({**ORCHESTRATORS, **MORE}, ACTIVITIES)


def output(end: ExecutionCompleted) -> Any:
    assert end.status is OrchestrationStatus.Completed, end.result
    return decode(end.result)


def test_hundreds_of_children_in_a_fan_out() -> None:
    async def main() -> None:
        world = World(FUNCTIONS)
        one = await world.start()
        assert output(await finish(one, "parent", 200)) == [f"Hello {number}" for number in range(200)]
        await world.settle()
        assert world.left_over() == {}

    run(main(), limit=3600)


def test_children_on_another_workers_partitions_are_answered_soon() -> None:
    async def main() -> None:
        world = World(FUNCTIONS)
        one = await world.start("one")
        await world.start("two")
        await asyncio.sleep(60)
        begin = asyncio.get_running_loop().time()
        instance_id = await one.client.start_new("parent", input="20")
        status = await one.client.wait_for_completion(instance_id, timeout=60)
        assert status is not None and status.runtime_status is OrchestrationStatus.Completed
        # At worst the start and then the children wait for an idle poll of the other worker; the answers do not.
        assert asyncio.get_running_loop().time() - begin < 65
        await asyncio.sleep(60)
        assert world.left_over() == {}

    run(main(), limit=3600)


def test_behaviour_39_and_an_unknown_child_fails_the_call_with_the_known_names() -> None:
    async def main() -> None:
        world = World(FUNCTIONS)
        one = await world.start()
        assert output(await finish(one, "parent_of_failing")) == "caught boom failed: no x"
        end = await finish(one, "parent_of_unknown")
        assert end.status is OrchestrationStatus.Failed
        assert "'nowhere'" in (end.result or "") and "'hello5'" in (end.result or "")

    run(main(), limit=3600)


def test_a_detached_orchestration_gets_an_event_that_was_sent_right_behind_its_start() -> None:
    async def main() -> None:
        world = World(FUNCTIONS)
        one = await world.start()
        assert output(await finish(one, "starts_and_tells")) == "told"
        status = await one.client.wait_for_completion("told", timeout=30)
        assert status is not None and status.output == '"now"'
        await world.settle()
        assert world.left_over() == {}

    run(main(), limit=3600)


def test_retry_delays_are_durable_timers() -> None:
    async def main() -> None:
        world = World(FUNCTIONS)
        one = await world.start()
        begin = asyncio.get_running_loop().time()
        await one.client.start_new("retries", instance_id="r")
        await asyncio.sleep(6)
        world.kill(one)
        two = await world.start("two")
        end = await two.client.wait_for_completion("r", timeout=120)
        assert end is not None and end.output == "boom failed: no x"
        assert asyncio.get_running_loop().time() - begin >= 10
        assert world.history("r").count("TaskScheduled") == 3

    run(main(), limit=3600)


def test_200_generations_leave_one_history_and_no_growth() -> None:
    async def main() -> None:
        world = World(FUNCTIONS)
        one = await world.start()
        assert output(await finish(one, "counts", instance_id="c")) == 200
        await world.settle()
        assert len(world.history("c")) == 9
        assert world.left_over() == {}
        row = await one.client.get_status("c")
        assert row is not None and row.input == "200"
        assert row.generation == 0

    run(main(), limit=3600)


def test_a_loop_that_never_waits_goes_on_in_several_episodes() -> None:
    async def main() -> None:
        world = World(FUNCTIONS)
        one = await world.start()
        assert output(await finish(one, "spins")) == 70
        await world.settle()
        assert world.left_over() == {}

    run(main(), limit=3600)


def test_blobs_of_replaced_generations_are_deleted() -> None:
    async def main() -> None:
        world = World(FUNCTIONS)
        one = await world.start()
        assert output(await finish(one, "large_inputs", [0, ""], instance_id="b")) == 3
        await world.settle()
        blobs = world.storage.blob_names(world.names.large_messages)
        assert len(blobs) == 1
        status = await one.client.get_status("b")
        assert status is not None and len(status.input or "") > 40_000

    run(main(), limit=3600)


@pytest.mark.parametrize("after", range(1, 5))
def test_a_generation_whose_first_checkpoint_is_cut_off_still_runs(after: int) -> None:
    """Design rule 2: the message that wakes it belongs to the generation before."""

    async def main() -> None:
        world = World(FUNCTIONS)
        one = await world.start("one")
        await one.client.start_new("spreads", instance_id="s")
        await world.settle()
        transactions = 0

        def kill(call: StorageCall) -> None:
            nonlocal transactions
            if call.kind == "table.transaction" and call.client == "one":
                transactions += 1
                if transactions == after:
                    world.kill(one)

        world.faults.after_hooks.append(kill)
        await one.client.raise_event("s", "go", "1")
        await world.settle()
        two = await world.start("two")
        status = await two.client.wait_for_completion("s", timeout=300)
        assert status is not None and status.output == "250"
        await asyncio.sleep(90)
        assert world.left_over() == {}

    run(main(), limit=7200)


def test_behaviour_97_an_instance_of_a_newer_version_waits_for_its_worker(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        world = World(FUNCTIONS)
        one = await world.start("one", versioning=Versioning("1.0"))
        await one.client.start_new("hello5", instance_id="v", version="2.0")
        await asyncio.sleep(120)
        status = await one.client.get_status("v")
        assert status is not None and status.runtime_status is OrchestrationStatus.Pending
        lines = [record.getMessage() for record in caplog.records if "'2.0'" in record.getMessage()]
        assert len(lines) == 1 and "'1.0'" in lines[0] and "CurrentOrOlder" in lines[0]
        await one.worker.stop()
        two = await world.start("two", versioning=Versioning("2.0"))
        status = await two.client.wait_for_completion("v", timeout=600)
        assert status is not None and status.runtime_status is OrchestrationStatus.Completed

    run(main(), limit=7200)


def test_behaviour_97_or_fails_if_the_setting_says_so() -> None:
    async def main() -> None:
        world = World(FUNCTIONS)
        rules = Versioning("1.0", VersionMatch.STRICT, VersionFailure.FAIL)
        one = await world.start("one", versioning=rules)
        end = await finish(one, "hello5", version="2.0")
        assert end.status is OrchestrationStatus.Failed
        captured = "VersionMismatch: Orchestration version did not comply with Worker Versioning"
        assert (end.result or "").startswith(captured)
        assert "'2.0'" in (end.result or "") and "'1.0'" in (end.result or "")

    run(main(), limit=3600)


def test_behaviour_50_a_status_of_an_earlier_generation_stays_until_another_is_set() -> None:
    """Also when the execution was not cached and its code has been replayed."""

    def shows(run: OrchestrationRun) -> Steps:
        if run.input is None:
            run.custom_status = '"from the first"'
            yield call(run, "say", 1)
            run.continue_as_new('"next"')
            return
        yield run.wait_for_event("one", decode)
        yield run.wait_for_event("two", decode)

    async def main() -> None:
        world = World(functions({"shows": shows}, ACTIVITIES))
        one = await world.start(force_replay=True)
        await one.client.start_new("shows", instance_id="s")
        await world.settle()
        await one.client.raise_event("s", "one", None)
        await world.settle()
        status = await one.client.get_status("s")
        assert status is not None and status.custom_status == '"from the first"'

    run(main(), limit=3600)
