"""The other task hubs that requests name: clients of them, opened when they are asked for (http-and-protocol 1.3)."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Coroutine, Mapping
from dataclasses import replace
from random import Random
from typing import Any, Protocol, TypeVar

from durable_core.errors import ConfigurationError
from durable_core.host.options import DurableOptions
from durable_core.host.threaded_client import ThreadedClient
from durable_core.http.hubs import is_same
from durable_core.model.runtime import HubClient
from durable_core.storage.azure import open_account
from durable_core.storage.base import StorageAccount
from durable_core.storage.settings import ConnectionSettings, resolve_connection
from durable_core.taskhub.existing import partitions_of
from durable_core.taskhub.hub import TaskHub
from durable_core.taskhub.names import HubNames
from durable_core.taskhub.scale_report import WorkerLimits
from durable_core.text_client import TextClient
from durable_core.worker.functions import Functions

T = TypeVar("T")

_REFERENCE = re.compile(r"%([^%]+)%")

Work = Callable[[TextClient], Coroutine[Any, Any, T]]


class Runtime(Protocol):
    """The worker's side of the process."""

    @property
    def client(self) -> ThreadedClient: ...

    async def on_loop(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T: ...

    async def make_primary(self) -> bool: ...


class OtherHubs:
    """Open accounts, by their settings; belongs to one event loop.

    Args:
        opener: opens an account.
    """

    def __init__(
        self, options: DurableOptions, opener: Callable[[ConnectionSettings], StorageAccount] = open_account
    ) -> None:
        self._options = options
        self._open = opener
        self._accounts: dict[ConnectionSettings, StorageAccount] = {}
        self._random = Random()

    async def run(self, settings: ConnectionSettings, names: HubNames, work: Work[T], *, create: bool = False) -> T:
        """Run a client operation on another hub.

        Args:
            names: its partition count is used if the hub does not tell its own.
            create: make the hub if it does not exist.
        """
        account = self._accounts.get(settings)
        if account is None:
            account = self._accounts[settings] = self._open(settings)
        count = len(await partitions_of(account, names)) or names.partition_count
        hub = TaskHub(account, replace(names, partition_count=count), self._random, self._options.management)
        if create:
            await hub.create()
        client = TextClient(
            hub,
            random=self._random,
            replaceable=self._options.replaceable,
            default_version=self._options.default_version,
        )
        return await work(client)

    async def close(self) -> None:
        """Close every account."""
        accounts, self._accounts = list(self._accounts.values()), {}
        for account in accounts:
            await account.close()


class ReachableHubs:
    """``Hubs`` of a host: the hub that its worker serves, and every other that its app settings lead to."""

    def __init__(
        self,
        runtime: Runtime,
        others: OtherHubs,
        options: DurableOptions,
        functions: Functions,
        environ: Mapping[str, str],
    ) -> None:
        self._runtime = runtime
        self._others = others
        self._options = options
        self._functions = functions
        self._environ = environ

    def is_own(self, connection: str | None, task_hub: str | None) -> bool:
        return is_same(connection, self._options.connection) and is_same(task_hub, self._options.names.hub)

    def client(self, connection: str | None, task_hub: str | None) -> HubClient:
        if self.is_own(connection, task_hub):
            return self._runtime.client
        try:
            names = replace(self._options.names, hub=task_hub or self._options.names.hub)
        except ConfigurationError:
            raise ValueError(
                f"'{task_hub}' is no name of a task hub: taskHub must be 3 to 45 letters and digits, a letter first"
            ) from None
        name = connection or self._options.connection
        try:
            settings = resolve_connection(name, self._environ)
        except ConfigurationError:
            raise ValueError(
                f"Unable to resolve the Azure Storage connection named '{name}'. connection must name an app setting "
                "that holds one"
            ) from None
        return self._visiting(settings, names)

    def _visiting(self, settings: ConnectionSettings, names: HubNames) -> HubClient:
        """A client of a hub that need not exist yet: the first start or signal creates it, as the extension does."""

        async def visit(work: Work[T], /) -> T:
            return await self._runtime.on_loop(lambda: self._others.run(settings, names, work))

        async def make(work: Work[T], /) -> T:
            return await self._runtime.on_loop(lambda: self._others.run(settings, names, work, create=True))

        return ThreadedClient(names.hub, visit, make)

    def at(self, task_hub: str | None, connection: str | None) -> HubClient:
        """The same for durable clients, in the order of their arguments; both may be ``%NAME%`` of an app setting.

        Raises:
            ValueError: as ``client``.
            ConfigurationError: a setting is not there.
        """
        return self.client(self._setting(connection), self._setting(task_hub))

    def _setting(self, text: str | None) -> str | None:
        reference = None if text is None else _REFERENCE.fullmatch(text)
        if reference is None:
            return text
        value = self._environ.get(reference[1])
        if not value:
            raise ConfigurationError(
                f"A durable client was asked for with {text}, but the app setting {reference[1]} is not set."
            )
        return value

    def entity_names(self) -> Collection[str] | None:
        return list(self._functions.entities)

    @property
    def limits(self) -> WorkerLimits:
        return self._options.worker.limits

    async def make_primary(self) -> bool:
        return await self._runtime.make_primary()
