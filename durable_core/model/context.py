"""The orchestration context that user code sees (python-api 3)."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from durable_core.core import ids, ticks
from durable_core.core.history import HistoryEvent
from durable_core.core.replay import OrchestrationRun
from durable_core.core.sequence import SequenceTask
from durable_core.core.tasks import Decode, TaskBase, TimerTask, WhenAllSettledTask, WhenAllTask, WhenAnyTask
from durable_core.errors import SerializationError
from durable_core.model.encoding import ENCODED_ONCE, InputEncoding
from durable_core.model.entity_operations import EntityOperations
from durable_core.model.http_calls import (
    HTTP_ACTIVITY,
    DurableHttpRequest,
    Headers,
    TokenSource,
    call_and_poll,
    decode_response,
    http_request,
)
from durable_core.model.naming import activity_name, orchestrator_name
from durable_core.model.replay_logging import ReplaySafeLogger
from durable_core.model.retry import RetryOptions, RetryPolicy, retry_policy
from durable_core.model.serialization import decode, encode, encode_activity_input, encode_or_none
from durable_core.model.typed import result_type

_LARGEST_STATUS = 16 * 1024


class DurableOrchestrationContext(EntityOperations):
    """Everything an orchestrator may do: task-returning methods schedule at once, ``yield`` waits for the result."""

    _encoding: InputEncoding = ENCODED_ONCE

    def __init__(self, run: OrchestrationRun, input_type: type | None = None) -> None:
        """Made by the runtime.

        Args:
            input_type: what ``get_input`` gives if it is not told otherwise.
        """
        self._run = run
        self._input_type = input_type

    # ---- about this instance ---------------------------------------------------------------------------------------

    @property
    def instance_id(self) -> str:
        """Id of this instance."""
        return self._run.instance_id

    @property
    def parent_instance_id(self) -> str | None:
        """Id of the instance that started this one, None for a top-level instance."""
        return self._run.parent_instance_id

    @property
    def version(self) -> str | None:
        """Version that this instance was started with; None if it was started without one."""
        return self._run.version or None

    @property
    def is_replaying(self) -> bool:
        """True while the code runs over what earlier episodes did; use it to guard logging."""
        return self._run.is_replaying

    @property
    def current_utc_datetime(self) -> datetime:
        """The time, the same on every replay: when the current episode began."""
        return ticks.to_datetime(self._run.current_time)

    @property
    def custom_status(self) -> Any:
        """The last value given to ``set_custom_status``."""
        return decode(self._run.custom_status)

    @property
    def histories(self) -> Sequence[HistoryEvent]:
        """All history events of this generation so far."""
        return self._run.histories

    def get_input(self, expected_type: type | None = None) -> Any:
        """The instance's input as it was sent, None if there is none.

        Args:
            expected_type: the class that it should have; the trigger's ``input_type`` if it is None.

        Raises:
            ValueError: the stored input is no JSON, or names a class that is not imported.
        """
        return self._encoding.read_input(self._run.input, expected_type or self._input_type)

    # ---- tasks -----------------------------------------------------------------------------------------------------

    def call_activity(
        self, name: str | Callable[..., Any], input_: Any = None, expected_type: type | None = None
    ) -> TaskBase:
        """Schedule an activity.

        Args:
            name: the activity's name, or the decorated function.
            input_: a JSON value, or an object with ``to_json``.
            expected_type: class of the result; of a decorated function that is its return annotation.

        Returns:
            A task whose result is what the activity returned; its failure is raised as ``TaskFailedError``.

        Raises:
            ValueError: the name is empty, or the function is no activity.
            SerializationError: the input cannot be written as JSON.
        """
        resolved = activity_name(name)
        text, read = self._encoding.activity_input(input_, resolved), self._read(name, expected_type)
        return self._task(partial(self._run.call_activity, resolved, text, read))

    def call_activity_with_retry(
        self,
        name: str | Callable[..., Any],
        retry_options: RetryOptions | RetryPolicy,
        input_: Any = None,
        expected_type: type | None = None,
    ) -> TaskBase:
        """Schedule an activity, and again after each failure, until ``retry_options`` give up (semantics 5).

        Returns:
            A task that settles as the last attempt did; the pauses are durable timers.

        Raises:
            ValueError, SerializationError: as ``call_activity``.
            TypeError: ``retry_options`` is something else.
        """
        resolved = activity_name(name)
        text, read = self._encoding.activity_input(input_, resolved), self._read(name, expected_type)
        return self._retried_task(retry_options, lambda: self._run.call_activity(resolved, text, read))

    def call_http(
        self,
        method: str,
        uri: str,
        content: Any = None,
        headers: Headers | None = None,
        token_source: TokenSource | None = None,
        is_raw_str: bool = False,
        *,
        timeout: timedelta | None = None,
        retry_options: RetryOptions | RetryPolicy | None = None,
        status_codes_to_retry: Iterable[int] = (),
        asynchronous_pattern_enabled: bool = True,
    ) -> TaskBase:
        """Schedule an HTTP request; an answer 202 with a ``Location`` is polled, with durable timers between.

        Args:
            content: a JSON value, or with ``is_raw_str`` the text of the body.
            headers: each value a text or a list of texts; without Content-Type the body is text/plain.
            token_source: adds a bearer token, e.g. ``ManagedIdentityTokenSource``.
            timeout: of the request and of each poll; 240 seconds at most.
            retry_options: make a failed request again; a status other than 2xx is a failure then.
            status_codes_to_retry: with ``retry_options``, only these statuses are failures.
            asynchronous_pattern_enabled: False returns an answer 202 as it is.

        Returns:
            A task whose result is a ``DurableHttpResponse``; requests without answer raise ``TaskFailedError``.

        Raises:
            TypeError, ValueError: an argument cannot be used; the text names it.
        """
        policy = None if retry_options is None else retry_policy(retry_options)
        codes = None if policy is None else tuple(status_codes_to_retry)
        request = http_request(
            method,
            uri,
            content,
            headers,
            token_source,
            is_raw_str,
            timeout=timeout,
            asynchronous_pattern_enabled=asynchronous_pattern_enabled,
            retried_statuses=codes,
        )

        def send(request: DurableHttpRequest) -> TaskBase:
            text = encode_activity_input(request.activity_input(), HTTP_ACTIVITY)
            return self._run.call_activity(HTTP_ACTIVITY, text, decode_response)

        def first(request: DurableHttpRequest) -> TaskBase:
            return send(request) if policy is None else self._run.call_with_retry(policy, lambda: send(request))

        run = self._run
        return self._task(
            lambda: SequenceTask(
                lambda: call_and_poll(request, first, send, run.create_timer, lambda: run.current_time)
            )
        )

    def call_sub_orchestrator(
        self,
        name: str | Callable[..., Any],
        input_: Any = None,
        instance_id: str | None = None,
        version: str | None = None,
        expected_type: type | None = None,
    ) -> TaskBase:
        """Start another orchestration as a child and wait for its output.

        Args:
            name: the orchestrator's name, or the decorated function.
            input_: a JSON value, or an object with ``to_json``.
            instance_id: of the child; one that is the same on every replay is made if it is None.
            version: of the child; the default version if it is None.

        Returns:
            A task whose result is the child's output; its failure or termination is raised as ``TaskFailedError``.

        Raises:
            ValueError: the name is empty, the function is no orchestrator, or the id is not allowed.
            SerializationError: the input cannot be written as JSON.
        """
        resolved, text = self._child(name, input_, instance_id)
        read = self._read(name, expected_type)
        return self._task(
            lambda: self._run.call_sub_orchestration(resolved, text, read, instance_id=instance_id, version=version)
        )

    def call_sub_orchestrator_with_retry(
        self,
        name: str | Callable[..., Any],
        retry_options: RetryOptions | RetryPolicy,
        input_: Any = None,
        instance_id: str | None = None,
        version: str | None = None,
        expected_type: type | None = None,
    ) -> TaskBase:
        """As ``call_sub_orchestrator``, again after each failure; a given id is used for every attempt (behaviour 77).

        Raises:
            ValueError, SerializationError: as ``call_sub_orchestrator``.
            TypeError: ``retry_options`` is something else.
        """
        resolved, text = self._child(name, input_, instance_id)
        read = self._read(name, expected_type)
        return self._retried_task(
            retry_options,
            lambda: self._run.call_sub_orchestration(resolved, text, read, instance_id=instance_id, version=version),
        )

    def start_new_orchestrator(
        self,
        name: str | Callable[..., Any],
        input_: Any = None,
        instance_id: str | None = None,
        version: str | None = None,
    ) -> str:
        """Start another orchestration that never reports back (fire and forget), and return its instance id.

        Raises:
            ValueError, SerializationError: as ``call_sub_orchestrator``.
        """
        resolved, text = self._child(name, input_, instance_id)
        return self._run.start_orchestration(
            resolved, text, instance_id=instance_id or self.new_uuid(), version=version
        )

    def _child(self, name: str | Callable[..., Any], input_: Any, instance_id: str | None) -> tuple[str, str | None]:
        resolved = orchestrator_name(name)
        if instance_id is not None:
            ids.validate_child_id(instance_id, self.instance_id, self.parent_instance_id)
        return resolved, self._encoding.call_input(input_, f"the input of sub-orchestrator '{resolved}'")

    def send_event(self, instance_id: str, name: str, data: Any = None) -> None:
        """Raise an external event for another orchestration; whether it exists is not known (semantics 7.3).

        Raises:
            ValueError: id or name is empty, or the id is an entity's.
            SerializationError: the data cannot be written as JSON.
        """
        if not instance_id or not name:
            raise ValueError("an event needs an instance id and a name")
        if instance_id.startswith("@"):
            raise ValueError(f"'{instance_id}' is an entity; use signal_entity or call_entity")
        self._run.send_event(instance_id, name, encode_or_none(data, f"the data of event '{name}'"))

    def continue_as_new(
        self, input_: Any = None, *, preserve_unprocessed_events: bool = True, version: str | None = None
    ) -> None:
        """Begin again with a new input and an empty history once the function returns or yields.

        What the code does after the call is not carried out; open tasks are given up.

        Args:
            input_: input of the next generation.
            preserve_unprocessed_events: events that no wait has taken go with it.
            version: of the next generation, None for the same.

        Raises:
            SerializationError: the input cannot be written as JSON.
        """
        text = self._encoding.call_input(input_, f"the next input of '{self._run.name}'")
        self._run.continue_as_new(text, keep_events=preserve_unprocessed_events, version=version)

    @property
    def will_continue_as_new(self) -> bool:
        """``continue_as_new`` has been called."""
        return self._run.will_continue_as_new

    def create_timer(self, fire_at: datetime) -> TimerTask:
        """Create a durable timer.

        Args:
            fire_at: when it fires, e.g. ``context.current_utc_datetime + timedelta(hours=1)``; a naive time is UTC.

        Raises:
            ValueError: ``fire_at`` is no ``datetime``.
        """
        if not isinstance(fire_at, datetime):
            raise ValueError(
                f"fire_at must be a datetime, not {type(fire_at).__name__}; for a delay write "
                "context.current_utc_datetime + timedelta(...)"
            )
        due = ticks.from_datetime(fire_at)
        return self._timer(due, lambda: self._run.create_timer(due))

    def wait_for_external_event(self, name: str, expected_type: type | None = None) -> TaskBase:
        """Wait for an event that a client raises; its name must match exactly.

        Raises:
            ValueError: the name is empty.
        """
        if not name:
            raise ValueError("the event name cannot be empty")
        read = self._encoding.typed(expected_type)
        return self._task(lambda: self._run.wait_for_event(name, read))

    def task_all(self, activities: Iterable[TaskBase]) -> WhenAllTask:
        """A task that succeeds with all results, in order, and fails with the first failure."""
        return WhenAllTask(checked_tasks(activities, "task_all"))

    def when_all(self, tasks: Iterable[TaskBase]) -> TaskBase:
        """A task that waits for all tasks and succeeds with all results, in order.

        If some failed, it fails when all are settled, with one ``ExceptionGroup`` that has every failure, in order.
        """
        return WhenAllSettledTask(checked_tasks(tasks, "when_all"))

    def task_any(self, activities: Iterable[TaskBase]) -> WhenAnyTask:
        """A task that succeeds with the first task of the list that is settled."""
        return WhenAnyTask(checked_tasks(activities, "task_any"))

    def _read(self, function: str | Callable[..., Any], expected: type | None) -> Decode:
        if expected is None and type(function) is str:
            return decode
        return self._encoding.typed(result_type(function, expected))

    def _retried_task(self, retry_options: RetryOptions | RetryPolicy, attempt: Callable[[], TaskBase]) -> TaskBase:
        policy = retry_policy(retry_options)
        return self._task(lambda: self._run.call_with_retry(policy, attempt))

    def _timer(self, due: int, create: Callable[[], TimerTask]) -> TimerTask:
        return create()

    # ---- the rest --------------------------------------------------------------------------------------------------

    def set_custom_status(self, status: Any) -> None:
        """Show a JSON value in the instance's status from the end of this episode on; at most 16 KB.

        Raises:
            SerializationError: it cannot be written as JSON, or is too large.
        """
        what = f"the custom status of '{self._run.name}'"
        text = encode(status, what)
        if len(text.encode("utf-16-le", "surrogatepass")) > _LARGEST_STATUS:
            raise SerializationError(
                f"{what} has {len(text)} characters, {_LARGEST_STATUS // 2} are allowed; keep large data in an "
                "activity's result or in storage of your own"
            )
        self._run.custom_status = text

    def create_replay_safe_logger(self, logger: logging.Logger) -> ReplaySafeLogger:
        """A logger that stays silent while the orchestrator is replaying, and is ``logger`` otherwise."""
        return ReplaySafeLogger(logger, lambda: self._run.is_replaying)

    def new_uuid(self) -> str:
        """A UUID that is the same on every replay."""
        return ids.new_uuid(self.instance_id, self.current_utc_datetime, self._run.next_guid_number())

    def new_guid(self) -> uuid.UUID:
        """A UUID object that is the same on every replay."""
        return ids.new_guid(self.instance_id, self.current_utc_datetime, self._run.next_guid_number())


def checked_tasks(tasks: Iterable[TaskBase], method: str) -> list[TaskBase]:
    """The tasks of any iterable, a generator expression included, each of them checked."""
    if isinstance(tasks, TaskBase):
        raise TypeError(f"{method} takes a list of durable tasks, not a single one")
    listed = list(tasks)
    for index, task in enumerate(listed):
        if not isinstance(task, TaskBase):
            raise TypeError(f"{method}: item {index} is a {type(task).__name__}, not a durable task")
    return listed
