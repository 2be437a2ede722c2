"""The storage behind queue bindings: an account per connection, and sending with creation on demand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from durable_core.errors import NotFoundError
from durable_core.host.indexing import QueueBinding
from durable_core.host.queue_messages import texts
from durable_core.storage.azure import open_account
from durable_core.storage.base import QueueStore, StorageAccount
from durable_core.storage.settings import ConnectionSettings, resolve_connection


class QueueAccounts:
    """Accounts of one event loop, opened when they are first used.

    Args:
        environ: app settings, where connections are looked up.
        opener: opens an account.
    """

    def __init__(
        self, environ: Mapping[str, str], opener: Callable[[ConnectionSettings], StorageAccount] = open_account
    ) -> None:
        self._environ = environ
        self._open = opener
        self._accounts: dict[ConnectionSettings, StorageAccount] = {}

    def queues(self, connection: str) -> QueueStore:
        """Queues of the account that a binding's ``connection`` names; empty means ``AzureWebJobsStorage``.

        Raises:
            ConfigurationError: there is no such setting, or it cannot be used.
        """
        settings = resolve_connection(connection or "Storage", self._environ)
        account = self._accounts.get(settings)
        if account is None:
            account = self._accounts[settings] = self._open(settings)
        return account.queues

    async def close(self) -> None:
        """Close what was opened."""
        for account in self._accounts.values():
            await account.close()


class QueueOutputs:
    """Writes what functions give to their queue outputs.

    Args:
        is_base64: bodies are Base64 on the wire.
    """

    def __init__(self, accounts: QueueAccounts, *, is_base64: bool) -> None:
        self._accounts = accounts
        self._is_base64 = is_base64

    async def send(self, binding: QueueBinding, value: Any) -> None:
        """Send the messages that ``value`` stands for; none for None.

        Raises:
            TypeError, ValueError: the value is no message; the text names the binding.
            StorageError: storage refuses or cannot be reached.
        """
        try:
            messages = texts(value, is_base64=self._is_base64)
        except (TypeError, ValueError) as error:
            raise type(error)(f"output binding '{binding.name}' (queue '{binding.queue}'): {error}") from error
        queues = self._accounts.queues(binding.connection)
        for message in messages:
            await put_creating(queues, binding.queue, message)


async def put_creating(queues: QueueStore, queue: str, message: str) -> None:
    """Append a message to a queue, which is made if it does not exist."""
    try:
        await queues.put(queue, message)
    except NotFoundError:
        await queues.create(queue)
        await queues.put(queue, message)
