"""The task hub of the app in a folder, as its host.json and settings name it."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

from durable_core.host.options import DurableOptions, durable_options
from durable_core.host.settings import apply_local_settings, read_host_json, read_local_settings
from durable_core.storage.azure import open_account
from durable_core.storage.settings import resolve_connection
from durable_core.taskhub.hub import TaskHub


@asynccontextmanager
async def open_hub(root: Path) -> AsyncIterator[tuple[TaskHub, DurableOptions]]:
    """Connect to the hub; nothing is created.

    Raises:
        ConfigurationError: a setting is missing or cannot be used.
    """
    apply_local_settings(read_local_settings(root), os.environ)
    options = durable_options(read_host_json(root, os.environ), os.environ)
    account = open_account(resolve_connection(options.connection, os.environ))
    try:
        yield TaskHub(account, options.names, Random(), options.management), options
    finally:
        await account.close()
