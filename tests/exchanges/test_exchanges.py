"""Every recorded exchange with the web host, asked again: status, headers, body, and the order of members."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from durable_core.http.messages import Response
from durable_core.testing.virtual_time import run
from tests.exchanges import normal, patches
from tests.exchanges.between import BETWEEN
from tests.exchanges.differences import DIFFERENCES, Difference
from tests.exchanges.replay import Exchange, play, recorded

EXCHANGES = recorded()
PATCHES = patches.read() if patches.FILE.exists() else {}
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
        assert ours != captured, "they are equal: take the exchange out of the table"
        assert all(piece in captured for piece in difference.captured)
        assert all(piece in ours for piece in difference.ours)
        assert ours == expected(exchange.number, captured, difference)


def expected(number: int, captured: str, difference: Difference) -> str:
    """Our answer, made of the recorded one."""
    if not difference.is_all:
        return patches.applied(captured, PATCHES[number])
    for there, here in zip(difference.captured, difference.ours, strict=True):
        captured = captured.replace(there, here)
    return captured


def all_patches() -> Iterator[tuple[int, list[str]]]:
    """What ``differences.diff`` must hold, by a run of today."""
    answers = run(play(BETWEEN), limit=100_000)
    for exchange in EXCHANGES:
        difference = TABLE.get(exchange.number)
        if difference is not None and not difference.is_all:
            ours = our_text(exchange, answers[exchange.number])
            yield exchange.number, patches.patch(captured_text(exchange), ours)


def test_the_table_names_each_exchange_once_and_with_a_reason() -> None:
    numbers = [number for difference in DIFFERENCES for number in difference.numbers]
    assert len(numbers) == len(set(numbers))
    assert set(numbers) <= {exchange.number for exchange in EXCHANGES}
    assert all(difference.why for difference in DIFFERENCES)
    assert set(PATCHES) == {
        number for difference in DIFFERENCES if not difference.is_all for number in difference.numbers
    }
    assert len(EXCHANGES) == 332


def test_every_difference_is_told_to_users() -> None:
    page = (Path(__file__).parents[2] / "docs" / "compatibility.md").read_text(encoding="utf-8")
    topics = set(re.findall(r"^\| (.+?) \|", page, re.MULTILINE))
    for difference in DIFFERENCES:
        assert difference.topics
        assert set(difference.topics) <= topics, difference.numbers
