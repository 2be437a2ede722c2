"""What every test of the sample app begins with: the app in a test environment."""

from collections.abc import Iterator

import pytest

from durable_core.testing import DurableTestEnvironment
from function_app import app


@pytest.fixture
def env() -> Iterator[DurableTestEnvironment]:
    with DurableTestEnvironment(app) as environment:
        yield environment
