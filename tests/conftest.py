"""What all tests share: one Azurite for the whole run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from durable_core.storage import azurite as emulator


@pytest.fixture(scope="session")
def azurite() -> Iterator[emulator.Azurite]:
    """An Azurite of our own, in memory, on free ports."""
    started = emulator.start()
    yield started
    started.stop()
