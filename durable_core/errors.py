"""Every error that this package raises to its callers, as one small tree."""

from __future__ import annotations


class DurableError(Exception):
    """Root of all errors of this package."""


class ConfigurationError(DurableError):
    """A setting, host.json or local.settings.json cannot be used; the text names it and the way out."""


class HubNotFoundError(ConfigurationError):
    """The storage account holds no task hub of that name."""


class UndecodableMessageError(DurableError):
    """A queue message or table row cannot be read as what it should be."""


class MissingBlobError(UndecodableMessageError):
    """The blob that a message or a row refers to does not exist (any more).

    Attributes:
        name: of the blob.
    """

    def __init__(self, message: str, *, name: str) -> None:
        super().__init__(message)
        self.name = name


class ExportError(DurableError):
    """An exported history cannot be replayed: it is none, or lacks what is needed; the text says how to export it."""


class SerializationError(DurableError, TypeError):
    """A value cannot be written as JSON; the text names the function and the path inside the value."""


class NonDeterminismError(DurableError):
    """Replay and history disagree (orchestration-semantics 2.4)."""


class StorageError(DurableError):
    """A storage request failed.

    Attributes:
        status: HTTP status, 0 when no answer came.
        code: the service's error code, e.g. ``UpdateConditionNotSatisfied``; empty if unknown.
        index: position of the operation that failed inside a table transaction, None elsewhere.
        after_retry: an earlier try of the same request ended without an answer: a conflict may be our own doing.
    """

    def __init__(
        self, message: str, *, status: int = 0, code: str = "", index: int | None = None, after_retry: bool = False
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.index = index
        self.after_retry = after_retry


class NotFoundError(StorageError):
    """The queue, message, table, row, container or blob does not exist (404)."""


class AlreadyExistsError(StorageError):
    """The row, table, container or blob is already there, or is being deleted (409)."""


class PreconditionFailedError(StorageError):
    """An ETag, pop receipt or lease id is not the current one (412, 400 PopReceiptMismatch, 409 lease conflicts)."""


class InvalidRequestError(StorageError):
    """The service refuses the request as such: bad name, too large, malformed (400, 413)."""


class AuthenticationError(StorageError):
    """Wrong key, token or permission (401, 403)."""


class UnavailableError(StorageError):
    """No usable answer: unreachable, timed out, throttled (429, 503) or a server fault (5xx), after all retries.

    The request may or may not have been applied.
    """


class InstanceExistsError(DurableError):
    """A start met an instance in a status that may not be replaced (orchestration-semantics 8.2)."""


class InstanceNotFoundError(DurableError):
    """No instance with that id."""


class InvalidOperationError(DurableError):
    """The instance is in a status that does not allow the operation."""


class LockingRulesError(DurableError, RuntimeError):
    """Code inside a critical section did what its rules forbid (orchestration-semantics 9.9); the text says what."""
