"""Every recorded exchange with the web host, asked again: status, headers, body, and the order of members."""

from __future__ import annotations

import json

import pytest

from durable_core.http.messages import Response
from durable_core.testing.virtual_time import run
from tests.exchanges import normal
from tests.exchanges.between import BETWEEN
from tests.exchanges.differences import DIFFERENCES, Difference
from tests.exchanges.replay import Exchange, play, recorded

EXCHANGES = recorded()
TABLE = {number: difference for difference in DIFFERENCES for number in difference.numbers}


@pytest.fixture(scope="module")
def answers() -> dict[int, Response]:
    """One run through all of them: each is asked of the state that those before have left."""
    return run(play(BETWEEN), limit=100_000)


def captured_text(exchange: Exchange) -> str:
    if exchange.body is None:
        body = f"{exchange.count} items\n{json.dumps(normal.value(exchange.first))}"
    else:
        body = normal.body(exchange.body)
    return _text(exchange.status, normal.headers(exchange.answered), body)


def our_text(exchange: Exchange, answer: Response) -> str:
    body = normal.body(answer.body)
    if exchange.body is None and answer.status == exchange.status:
        items = json.loads(answer.body)
        body = f"{len(items)} items\n{json.dumps(normal.value(items[: len(exchange.first)]))}"
    return _text(answer.status, normal.headers(answer.headers), body)


def _text(status: int, headers: dict[str, str], body: str) -> str:
    return f"HTTP {status}\n{headers}\n\n{body}"


@pytest.mark.parametrize("exchange", EXCHANGES, ids=[f"{item.number} {item.name}" for item in EXCHANGES])
def test_exchange(exchange: Exchange, answers: dict[int, Response]) -> None:
    captured, ours = captured_text(exchange), our_text(exchange, answers[exchange.number])
    difference = TABLE.get(exchange.number)
    if difference is None:
        assert ours == captured
    else:
        check_difference(difference, captured, ours)


def check_difference(difference: Difference, captured: str, ours: str) -> None:
    assert ours != captured, "they are equal: take the exchange out of the table"
    for piece in difference.captured:
        assert piece in captured
    for piece in difference.ours:
        assert piece in ours
    if difference.is_all:
        for there, here in zip(difference.captured, difference.ours, strict=True):
            captured = captured.replace(there, here)
        assert ours == captured


def test_the_table_names_each_exchange_once_and_with_a_reason() -> None:
    numbers = [number for difference in DIFFERENCES for number in difference.numbers]
    assert len(numbers) == len(set(numbers))
    assert set(numbers) <= {exchange.number for exchange in EXCHANGES}
    assert all(difference.why for difference in DIFFERENCES)
    assert len(EXCHANGES) == 332
