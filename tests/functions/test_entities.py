"""The entity samples: counter, transfer with a critical section, aggregator fed by a timer."""

from __future__ import annotations

import json

from durable_core.testing import DurableTestEnvironment, EntityId


def test_transfers_conserve_the_money_and_never_overdraw(env: DurableTestEnvironment) -> None:
    env.run("open_account", {"account": "anna", "amount": 100})
    orders = [("anna", "ben", 30), ("ben", "anna", 10), ("anna", "ben", 60), ("ben", "eve", 500)]
    transfers = [env.start("transfer", {"source": a, "target": b, "amount": n}) for a, b, n in orders]
    assert [transfer.wait().output["moved"] for transfer in transfers] == [True, True, True, False]
    assert [env.state_of(EntityId("account", who)) for who in ("anna", "ben", "eve")] == [20, 80, None]


def test_a_transfer_that_dies_inside_its_critical_section_is_finished(env: DurableTestEnvironment) -> None:
    env.run("open_account", {"account": "anna", "amount": 100})
    transfer = env.start("transfer", {"source": "anna", "target": "ben", "amount": 30})
    env.restart_worker(crash=True)
    assert transfer.wait().output == {"moved": True, "source": 70, "target": 30}


def test_the_counter_is_raised_and_read_over_http(env: DurableTestEnvironment) -> None:
    assert env.http("GET", "/api/counters/visits").status_code == 404
    assert env.http("POST", "/api/counters/visits", 5).status_code == 202
    assert env.http("POST", "/api/counters/visits", 2).status_code == 202
    assert json.loads(env.http("GET", "/api/counters/visits").get_body()) == 7
    assert env.http("POST", "/api/counters/visits", b"x").status_code == 400
    env.signal(EntityId("counter", "visits"), "reset")
    assert env.state_of(EntityId("counter", "visits")) == 0


def test_the_timer_signals_the_aggregator(env: DurableTestEnvironment) -> None:
    env.call("take_reading")
    env.call("take_reading")
    assert [call.operation for call in env.entity("readings").calls] == ["report", "report"]
    assert env.state_of(EntityId("readings", "cpu"))["count"] == 2
    assert json.loads(env.http("GET", "/api/readings/cpu").get_body())["count"] == 2
