"""What the answers of the storage services mean in this package's errors; the same for plain requests and the SDK."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from durable_core.errors import (
    AlreadyExistsError,
    AuthenticationError,
    InvalidRequestError,
    NotFoundError,
    PreconditionFailedError,
    StorageError,
    UnavailableError,
)

RETRIABLE = frozenset({408, 429, 500, 502, 503, 504})
NOT_APPLIED = frozenset({429, 503})
"""Of these, the ones with which the service says that it did not act."""

_XML_CODE = re.compile(rb"<Code>([^<]*)</Code>")
_XML_MESSAGE = re.compile(rb"<Message>([^<]*)")
_LEASE_CONFLICTS = frozenset(
    {
        "LeaseAlreadyPresent",
        "LeaseIdMismatchWithLeaseOperation",
        "LeaseIdMismatchWithContainerOperation",
        "LeaseIdMismatchWithBlobOperation",
        "LeaseLost",
        "LeaseIdMissing",
        "LeaseNotPresentWithLeaseOperation",
        "LeaseNotPresentWithContainerOperation",
        "LeaseNotPresentWithBlobOperation",
        "LeaseIsBrokenAndCannotBeRenewed",
        "LeaseIsBreakingAndCannotBeAcquired",
        "LeaseIsBreakingAndCannotBeChanged",
    }
)
_WAY_OUT = {
    "AuthenticationFailed": "Is the key in the connection string right, and the clock of this machine?",
    "AuthorizationPermissionMismatch": "The identity needs the Storage Queue, Table and Blob Data Contributor roles.",
    "AuthorizationFailure": "Does the account's firewall admit this machine, and the account shared keys?",
    "KeyBasedAuthenticationNotPermitted": "The account refuses shared keys: use the settings for an identity.",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer of a service.

    Attributes:
        headers: by their names in lower case.
        after_retry: an earlier try of the same request may have been applied.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    after_retry: bool = False


def error_of(answer: Answer, what: str) -> StorageError:
    """The error that an answer of status 400 and above means."""
    code, message = _details(answer)
    return error_for(answer.status, code, message, what, after_retry=answer.after_retry)


def error_for(
    status: int, code: str, message: str, what: str, *, index: int | None = None, after_retry: bool = False
) -> StorageError:
    """The error for a status and code of the service.

    Args:
        what: was asked, for the text; holds no secret.
    """
    kind: type[StorageError] = InvalidRequestError
    if status == 404:
        kind = NotFoundError
    elif status == 412 or code == "PopReceiptMismatch" or (status == 409 and code in _LEASE_CONFLICTS):
        kind = PreconditionFailedError
    elif status == 409:
        kind = AlreadyExistsError
    elif status in (401, 403):
        kind = AuthenticationError
    elif status in RETRIABLE or status >= 500:
        kind = UnavailableError
    first_line = message.strip().partition("\n")[0]
    text = " ".join(filter(None, (f"{what} answered {status} {code}:", first_line, _WAY_OUT.get(code, ""))))
    return kind(text, status=status, code=code, index=index, after_retry=after_retry)


def _details(answer: Answer) -> tuple[str, str]:
    code = answer.headers.get("x-ms-error-code", "")
    body = answer.body
    if body.lstrip(b"\xef\xbb\xbf").startswith(b"<"):
        found, message = _XML_CODE.search(body), _XML_MESSAGE.search(body)
        code = code or (found[1].decode("utf-8", "replace") if found else "")
        return code, message[1].decode("utf-8", "replace") if message else ""
    return json_error(body.decode("utf-8", "replace"), code)


def json_error(text: str, code: str = "") -> tuple[str, str]:
    """Code and message of the tables' error document; of any other text, ``code`` and its beginning."""
    try:
        error = json.loads(text)["odata.error"]
        return str(error.get("code") or code), str(error["message"]["value"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return code, text[:200]
