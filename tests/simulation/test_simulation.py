"""Many seeds of the simulation; ``SIMULATION_SEEDS`` sets how many, ``SIMULATION_FIRST`` where they begin."""

from __future__ import annotations

import os

import pytest

from tests.simulation.simulation import simulate

FIRST = int(os.environ.get("SIMULATION_FIRST", "0"))
COUNT = int(os.environ.get("SIMULATION_SEEDS", "120"))


@pytest.mark.parametrize("seed", range(FIRST, FIRST + COUNT))
def test_nothing_is_lost_or_doubled(seed: int) -> None:
    simulate(seed)


def test_a_seed_replays_exactly() -> None:
    from tests.simulation.simulation import trace

    assert trace(3) == trace(3)
