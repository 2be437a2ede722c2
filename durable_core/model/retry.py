"""Retry policies as users write them (python-api 6.1, semantics 5.1)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from durable_core.core import retry, ticks


class RetryOptions:
    """How often a failed call is made again, with times in milliseconds, as ``azure.durable_functions`` has it.

    Args:
        first_retry_interval_in_milliseconds: pause before the second attempt, more than 0.
        max_number_of_attempts: executions in all, the first included.
        backoff_coefficient: factor between one pause and the next.
        max_retry_interval_in_milliseconds: longest pause.
        retry_timeout_in_milliseconds: no further attempt after a failure that comes later than this.

    Raises:
        ValueError: a number is out of its range; the text names it.
    """

    def __init__(
        self,
        first_retry_interval_in_milliseconds: int,
        max_number_of_attempts: int,
        backoff_coefficient: float = 1.0,
        max_retry_interval_in_milliseconds: int | None = None,
        retry_timeout_in_milliseconds: int | None = None,
    ) -> None:
        if first_retry_interval_in_milliseconds <= 0:
            raise ValueError("first_retry_interval_in_milliseconds value must be greater than 0.")
        if max_number_of_attempts < 1:
            raise ValueError("max_number_of_attempts must be at least 1: it counts the first execution too.")
        if backoff_coefficient < 1:
            raise ValueError("backoff_coefficient must be at least 1.")
        _check_positive("max_retry_interval_in_milliseconds", max_retry_interval_in_milliseconds)
        _check_positive("retry_timeout_in_milliseconds", retry_timeout_in_milliseconds)
        self._first_retry_interval_in_milliseconds = first_retry_interval_in_milliseconds
        self._max_number_of_attempts = max_number_of_attempts
        self.backoff_coefficient = backoff_coefficient
        self.max_retry_interval_in_milliseconds = max_retry_interval_in_milliseconds
        self.retry_timeout_in_milliseconds = retry_timeout_in_milliseconds

    @property
    def first_retry_interval_in_milliseconds(self) -> int:
        """Pause before the second attempt."""
        return self._first_retry_interval_in_milliseconds

    @property
    def max_number_of_attempts(self) -> int:
        """Executions in all, the first included."""
        return self._max_number_of_attempts

    def to_json(self) -> dict[str, Any]:
        """The two members that the .NET extension knows."""
        return {
            "firstRetryIntervalInMilliseconds": self._first_retry_interval_in_milliseconds,
            "maxNumberOfAttempts": self._max_number_of_attempts,
        }

    def policy(self) -> retry.RetryPolicy:
        """The same in ticks."""
        return retry.RetryPolicy(
            _ticks(self._first_retry_interval_in_milliseconds),
            self._max_number_of_attempts,
            self.backoff_coefficient,
            _ticks_or_none(self.max_retry_interval_in_milliseconds),
            _ticks_or_none(self.retry_timeout_in_milliseconds),
        )


@dataclass(frozen=True)
class RetryPolicy:
    """How often a failed call is made again, with times as ``timedelta``.

    Attributes:
        first_retry_interval: pause before the second attempt, more than 0.
        max_number_of_attempts: executions in all, the first included.
        backoff_coefficient: factor between one pause and the next.
        max_retry_interval: longest pause.
        retry_timeout: no further attempt after a failure that comes later than this.

    Raises:
        ValueError: a value is out of its range; the text names it.
    """

    first_retry_interval: timedelta
    max_number_of_attempts: int
    backoff_coefficient: float = 1.0
    max_retry_interval: timedelta | None = None
    retry_timeout: timedelta | None = None

    def __post_init__(self) -> None:
        for name in ("first_retry_interval", "max_retry_interval", "retry_timeout"):
            value = getattr(self, name)
            if value is not None and value <= timedelta(0):
                raise ValueError(f"{name} must be greater than 0.")
        if self.max_number_of_attempts < 1:
            raise ValueError("max_number_of_attempts must be at least 1: it counts the first execution too.")
        if self.backoff_coefficient < 1:
            raise ValueError("backoff_coefficient must be at least 1.")

    def policy(self) -> retry.RetryPolicy:
        """The same in ticks."""
        return retry.RetryPolicy(
            ticks.from_timedelta(self.first_retry_interval),
            self.max_number_of_attempts,
            self.backoff_coefficient,
            None if self.max_retry_interval is None else ticks.from_timedelta(self.max_retry_interval),
            None if self.retry_timeout is None else ticks.from_timedelta(self.retry_timeout),
        )


def retry_policy(options: RetryOptions | RetryPolicy) -> retry.RetryPolicy:
    """The policy of either form.

    Raises:
        TypeError: it is neither.
    """
    if not isinstance(options, (RetryOptions, RetryPolicy)):
        raise TypeError(f"retry_options must be RetryOptions or RetryPolicy, not {type(options).__name__}")
    return options.policy()


def _check_positive(name: str, value: int | None) -> None:
    if value is not None and value <= 0:
        raise ValueError(f"{name} must be greater than 0.")


def _ticks(milliseconds: float) -> int:
    return round(milliseconds * ticks.PER_MILLISECOND)


def _ticks_or_none(milliseconds: float | None) -> int | None:
    return None if milliseconds is None else _ticks(milliseconds)
