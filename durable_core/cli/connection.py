"""The task hub of the app in a folder, as its host.json and settings name it, or another one."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from random import Random

from durable_core.host.local_settings import apply_local_settings, read_local_settings
from durable_core.host.options import DurableOptions, durable_options
from durable_core.host.settings import read_host_json
from durable_core.storage.azure import open_account
from durable_core.storage.settings import resolve_connection
from durable_core.taskhub.hub import TaskHub
from durable_core.taskhub.names import HubNames


@asynccontextmanager
async def open_hub(
    root: Path, connection: str | None = None, task_hub: str | None = None
) -> AsyncIterator[tuple[TaskHub, DurableOptions]]:
    """Connect to the hub; nothing is sent, nothing is created.

    Args:
        root: folder of the app; its local.settings.json is put into the environment.
        connection: name of a connection setting, None for the one of host.json.
        task_hub: None for the one of host.json, or its default.

    Raises:
        ConfigurationError: a setting is missing or cannot be used.
    """
    options = read_options(root, connection, task_hub)
    account = open_account(resolve_connection(options.connection, os.environ))
    try:
        yield TaskHub(account, options.names, Random(), options.management), options
    finally:
        await account.close()


def read_options(root: Path, connection: str | None = None, task_hub: str | None = None) -> DurableOptions:
    """What the app's folder says; arguments as in ``open_hub``."""
    apply_local_settings(read_local_settings(root), os.environ)
    options = durable_options(read_host_json(root, os.environ), os.environ)
    if task_hub is not None:
        options = replace(options, names=HubNames(task_hub, options.names.partition_count))
    return options if connection is None else replace(options, connection=connection)
