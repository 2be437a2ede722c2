"""The test environment: an app on an in-memory task hub and a virtual clock."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any

import azure.functions as func

from durable_core.core import ticks
from durable_core.core.entity_ids import EntityId
from durable_core.host.options import durable_options
from durable_core.host.settings import option, read_host_json, section
from durable_core.host.threaded_client import ThreadedClient
from durable_core.model.durable_client import DurableOrchestrationClient
from durable_core.model.naming import orchestrator_name
from durable_core.model.runtime import ClientProvider, LinkSettings, provided
from durable_core.model.serialization import decode_or_text
from durable_core.model.sync_client import SyncDurableFunctionsClient
from durable_core.testing.app import App, AppUnderTest
from durable_core.testing.doubles import Double, EntityDouble
from durable_core.testing.engine import Engine
from durable_core.testing.instance import Instance
from durable_core.testing.web import BASE, request_to

HUB = "TestHub"


class DurableTestEnvironment:
    """An app on an in-memory task hub whose clock is the test's; to be entered with ``with`` or ``async with``.

    Its methods are plain functions, in synchronous tests and in ``async def`` ones. Each lets everything happen that
    can happen at once; virtual time passes only in ``advance``, ``Instance.wait``, ``run`` and ``run_all``.

    Args:
        app: a ``DFApp`` or a ``Blueprint``, of this package or of its alias ``azure.durable_functions``.
        host: of host.json: its content, or the file or folder to read it from; None for the defaults.
        now: when the test begins, UTC if naive; 2026-01-01 if None.
        replays: run every episode of an orchestrator from its history, as after a restart of the worker, so that code
            that is not deterministic fails; False keeps orchestrators in memory, as a worker does between episodes.

    Attributes:
        outgoing_http: double of what ``call_http`` sends; its inputs are ``func.HttpRequest``. Without a fake, requests
            to the app itself are answered by the app, and all others fail.
    """

    def __init__(
        self,
        app: App,
        *,
        host: Mapping[str, Any] | str | os.PathLike[str] | None = None,
        now: datetime | None = None,
        replays: bool = True,
    ) -> None:
        self._app = AppUnderTest(self._crash)
        self.outgoing_http = self._app.outgoing_http
        self._context = ExitStack()
        self._host = _host_document(host)
        self._app.load(app)
        self._engine = Engine(
            self._app.functions,
            self._options(),
            begin=None if now is None else ticks.from_datetime(now),
            replays=replays,
        )
        self._engine.encoding = self._app.dialect.encoding
        links = LinkSettings(f"{BASE}/runtime/webhooks/durabletask")
        self._provider = ClientProvider(ThreadedClient(self._engine.task_hub, self._engine.call), links)
        self._app.connect(self._provider, self._engine.loop)

    def __enter__(self) -> DurableTestEnvironment:
        self._context.enter_context(provided(self._provider))
        self._context.callback(self._engine.close)
        self._engine.drive(self._engine.start())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._context.close()

    async def __aenter__(self) -> DurableTestEnvironment:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)

    # ---- orchestrations --------------------------------------------------------------------------------------------

    def start(
        self,
        orchestrator: str | Callable[..., Any],
        input: Any = None,
        *,
        instance_id: str | None = None,
        version: str | None = None,
        start_at: datetime | None = None,
    ) -> Instance:
        """Start an instance, which runs until it has to wait for something.

        Args:
            orchestrator: its name, or the decorated function.
            input: a JSON value; None means no input.
            instance_id: a GUID is made if it is None.
            start_at: not before this time; a naive one is UTC.

        Raises:
            ValueError: the id is not allowed.
            InstanceExistsError: a live instance has this id.
            SerializationError: the input cannot be written as JSON.
        """
        name = orchestrator_name(orchestrator)
        text = self._engine.encoding.start_input(input, f"the input of orchestrator '{name}'")
        due = None if start_at is None else ticks.from_datetime(start_at)
        started = self._act(
            self._engine.client.start_new(name, input=text, instance_id=instance_id, version=version, start_at=due)
        )
        return Instance(self._engine, str(started))

    def run(self, orchestrator: str | Callable[..., Any], input: Any = None, **start: Any) -> Instance:
        """Start an instance as ``start`` does, and let time pass until it has ended."""
        return self.start(orchestrator, input, **start).wait()

    def instance(self, instance_id: str) -> Instance:
        """A handle on an instance, whether it exists or not."""
        return Instance(self._engine, instance_id)

    @property
    def instances(self) -> list[Instance]:
        """All instances of the hub but entities, in the order of their ids."""

        async def ids() -> list[str]:
            return [row.instance_id async for row in self._engine.client.all_instances(with_payloads=False)]

        return [Instance(self._engine, found) for found in self._engine.drive(ids()) if not found.startswith("@")]

    # ---- entities --------------------------------------------------------------------------------------------------

    def signal(self, entity: EntityId, operation: str, input: Any = None, *, at: datetime | None = None) -> None:
        """Ask an entity for an operation, at ``at`` or at once."""
        text = self._engine.encoding.start_input(input, f"the input of operation '{operation}'")
        due = None if at is None else ticks.from_datetime(at)
        self._act(self._engine.client.signal_entity(entity, operation, text, due=due))

    def state_of(self, entity: EntityId) -> Any:
        """The entity's state; None if it does not exist."""
        record = self._engine.drive(self._engine.client.read_entity(entity))
        return None if record is None else decode_or_text(record.state)

    # ---- doubles ---------------------------------------------------------------------------------------------------

    def activity(self, name: str | Callable[..., Any]) -> Double:
        """The double of an activity: shows its calls, and can replace what it does.

        Raises:
            ValueError: the app has no such activity.
        """
        return self._app.double("activity", name)

    def orchestrator(self, name: str | Callable[..., Any]) -> Double:
        """The double of an orchestrator, to replace a sub-orchestration for example.

        Raises:
            ValueError: the app has no such orchestrator.
        """
        return self._app.double("orchestrator", name)

    def entity(self, name: str) -> EntityDouble:
        """The double of the entities of one name.

        Raises:
            ValueError: the app has no such entity.
        """
        return self._app.entity(name)

    # ---- time and the worker ---------------------------------------------------------------------------------------

    @property
    def now(self) -> datetime:
        """The virtual time, in UTC."""
        return ticks.to_datetime(self._engine.now())

    def advance(self, duration: timedelta | None = None, **parts: float) -> None:
        """Let virtual time pass, and everything happen that is due in it.

        Args:
            duration: how much, or as keywords: ``hours=72``, ``days=1, minutes=5``.
        """
        whole = (duration or timedelta()) + timedelta(**parts)
        if whole < timedelta():
            raise ValueError(f"time only goes forward, not by {whole}")
        self._engine.drive(self._engine.advance(whole.total_seconds()))

    def run_all(self, limit: timedelta = timedelta(days=365)) -> None:
        """Let time jump until nothing can happen any more without the test.

        Raises:
            TimeLimitError: something still happens after ``limit``.
        """

        async def never() -> bool:
            return False

        self._engine.drive(self._engine.until(never, limit.total_seconds()))

    def restart_worker(
        self,
        app: App | None = None,
        *,
        host: Mapping[str, Any] | str | os.PathLike[str] | None = None,
        crash: bool = False,
    ) -> None:
        """End the worker and start another on the same task hub.

        Args:
            app, host: of the new worker: what a deployment changes; None for the same. Doubles keep what they do.
            crash: as a kill, instead of in order: what is in memory is lost, and what the worker held becomes available
                when its leases end, within 15 s of virtual time.
        """
        if host is not None:
            self._host = _host_document(host)
        if not crash:
            self._engine.drive(self._engine.stop())
        if app is not None:
            self._app.load(app)
        self._engine.functions, self._engine.options = self._app.functions, self._options()
        self._engine.encoding = self._app.dialect.encoding

        async def exchange() -> None:
            if crash:
                self._engine.crash()
            else:
                await self._engine.start()
            await self._engine.settle()

        self._engine.drive(exchange())

    # ---- functions of the app --------------------------------------------------------------------------------------

    @property
    def client(self) -> SyncDurableFunctionsClient:
        """A durable client whose methods block, for synchronous tests."""
        return self._app.dialect.sync_client(self._provider)

    @property
    def async_client(self) -> DurableOrchestrationClient:
        """A durable client whose methods are awaited, for ``async def`` tests."""
        return self._app.dialect.client(self._provider)

    def http(
        self, method: str, url: str, body: Any = None, *, headers: Mapping[str, str] | None = None
    ) -> func.HttpResponse:
        """Send a request to the app: to its HTTP functions, or to the management API.

        Args:
            url: ``/api/…``, or a link that the app has given.
            body: bytes or text as they are; anything else becomes JSON.

        Returns:
            The answer; 404 if no function has this route, 500 if the function returned nothing that is an answer.

        Raises:
            Exception: whatever the function raises, where a host would answer 500.
        """
        response = self._act(self._app.serve(request_to(method, url, body=body, headers=headers)))
        assert isinstance(response, func.HttpResponse)
        return response

    def call(self, function: str | Callable[..., Any], **arguments: Any) -> Any:
        """Call any function of the app that has a trigger of the host, with its durable client.

        Args:
            function: its name, or the decorated function.
            arguments: for its bindings; the trigger of a timer function may be left out.

        Raises:
            ValueError: the app has no such function.
        """
        return self._act(self._app.call(function, arguments))

    # ----------------------------------------------------------------------------------------------------------------

    def _act(self, work: Any) -> Any:
        async def act() -> Any:
            result = await self._engine.until_done(work)
            await self._engine.settle()
            return result

        return self._engine.drive(act())

    def _crash(self) -> None:
        self._engine.crash()

    def _options(self) -> Any:
        durable = section(self._host, "extensions", "durableTask")
        document = {"hubName": HUB, **durable}
        prefix = option(section(self._host, "extensions", "http"), "routePrefix")
        self._app.prefix = "api" if prefix is None else str(prefix).strip("/")
        return durable_options({"extensions": {"durableTask": document}}, os.environ)


def _host_document(host: Mapping[str, Any] | str | os.PathLike[str] | None) -> Mapping[str, Any]:
    if host is None:
        return {}
    if isinstance(host, Mapping):
        return json.loads(json.dumps(host))  # type: ignore[no-any-return]
    path = Path(host)
    return read_host_json(path if path.is_dir() else path.parent, {})
