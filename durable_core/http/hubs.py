"""Which task hubs the management API of a process can reach (http-and-protocol 1.2, 1.3, 1.18)."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from durable_core.model.runtime import HubClient
from durable_core.taskhub.scale_report import WorkerLimits
from durable_core.worker.settings import WorkerSettings


class Hubs(Protocol):
    """The process's own hub, and those that a request names."""

    def client(self, connection: str | None, task_hub: str | None) -> HubClient:
        """The client of a hub.

        Args:
            connection: name of an app setting; None is the app's own connection.
            task_hub: None is the app's own name.

        Raises:
            ValueError: there is no such connection, or the name cannot be that of a hub; the text shows no setting.
        """

    def is_own(self, connection: str | None, task_hub: str | None) -> bool:
        """These names, compared ignoring case, mean the hub that this process serves."""

    def entity_names(self) -> Collection[str] | None:
        """Entity functions of this process's app; None if they are not known here."""

    @property
    def limits(self) -> WorkerLimits:
        """What one worker of this app does at once."""

    async def make_primary(self) -> bool:
        """Have this app's workers serve the own hub instead of another app's; False if the app lease is not used."""


class OneHub:
    """The own hub and no other, in a process that serves it or only knows it."""

    def __init__(self, client: HubClient, connection: str) -> None:
        self._client = client
        self._connection = connection

    def client(self, connection: str | None, task_hub: str | None) -> HubClient:
        if not self.is_own(connection, task_hub):
            raise ValueError(
                f"this API serves task hub '{self._client.task_hub}' on connection '{self._connection}' and no other"
            )
        return self._client

    def is_own(self, connection: str | None, task_hub: str | None) -> bool:
        return is_same(connection, self._connection) and is_same(task_hub, self._client.task_hub)

    def entity_names(self) -> Collection[str] | None:
        return None

    @property
    def limits(self) -> WorkerLimits:
        return WorkerSettings().limits

    async def make_primary(self) -> bool:
        return False


def is_same(asked: str | None, own: str) -> bool:
    """Nothing was asked for, or what is our own anyway."""
    return asked is None or asked.lower() == own.lower()
