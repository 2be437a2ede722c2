"""Instance ids, and GUIDs that come out the same on every replay (orchestration-semantics 2.9, 8.2)."""

from __future__ import annotations

import hashlib
import re
import uuid
from datetime import datetime
from random import Random

_LONGEST = 256
_FORBIDDEN = re.compile(r"[/\\#?\x00-\x1f\x7f-\x9f]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_VERSION_BITS = 0xF000 << 64 | 0xC000 << 48
_VERSION_4 = 0x4000 << 64 | 0x8000 << 48

_PYTHON_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_OID, "9e952958-5e33-4daf-827f-2fa12937b875")
_DOTNET_NAMESPACE = uuid.UUID("9e952959-5e33-4daf-827f-2fa12937b875")


def validate_instance_id(instance_id: str) -> None:
    """Check the id of a new top-level instance.

    Raises:
        TypeError: it is no text.
        ValueError: it breaks one of the rules; the text says which.
    """
    if not isinstance(instance_id, str):
        raise TypeError(
            f"Orchestration instance ids are text, not {type(instance_id).__name__}; the input of an instance is given "
            "as client_input."
        )
    if not instance_id:
        raise ValueError("Orchestration instance ids must not be empty.")
    if len(instance_id) > _LONGEST:
        raise ValueError(
            f"Orchestration instance ids must not be longer than {_LONGEST} characters; this one has "
            f"{len(instance_id)}."
        )
    if instance_id.startswith("@"):
        raise ValueError("Orchestration instance ids must not start with '@'.")
    wrong = _FORBIDDEN.search(instance_id)
    if wrong is not None:
        raise ValueError(
            "Orchestration instance ids must not contain /, \\, #, ?, or control characters; "
            f"this one contains {wrong[0]!r}."
        )
    if _SURROGATE.search(instance_id):
        raise ValueError("Orchestration instance ids must be valid Unicode text.")


def validate_child_id(instance_id: str, parent_id: str, grandparent_id: str | None) -> None:
    """Check the id that an orchestrator gives to a child (semantics 3.7, behaviour 41).

    Raises:
        ValueError: it is the caller's own or its parent's id, or an entity's.
    """
    if instance_id.startswith("@"):
        raise ValueError(
            f"The child's instance id '{instance_id}' must not start with '@'; such ids belong to entities."
        )
    for taken, whose in ((parent_id, "calling orchestration"), (grandparent_id, "calling orchestration's parent")):
        if taken is not None and instance_id.casefold() == taken.casefold():
            raise ValueError(f"The child's instance id '{instance_id}' must not be that of the {whose}.")


def guid_text(bits: int) -> str:
    """The GUID of these 128 bits in "D" form."""
    text = f"{bits:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def random_guid(random: Random) -> str:
    """A version-4 GUID in "D" form: ``str(uuid.UUID(int=..., version=4))`` in a third of the time."""
    return guid_text(random.getrandbits(128) & ~_VERSION_BITS | _VERSION_4)


def new_uuid(instance_id: str, now: datetime, number: int) -> str:
    """The Python SDK's ``context.new_uuid()``."""
    name = f"{instance_id}_{now.strftime('%Y-%m-%dT%H:%M:%S.%fZ')}_{number}"
    return str(uuid.uuid5(_PYTHON_NAMESPACE, name))


def new_guid(instance_id: str, now: datetime, number: int) -> uuid.UUID:
    """The Python SDK's ``context.new_guid()``."""
    return uuid.uuid5(uuid.NAMESPACE_URL, f"{instance_id}_{now}_{number}")


def dotnet_guid(instance_id: str, now_text: str, number: int) -> uuid.UUID:
    """.NET's deterministic GUID; ``now_text`` is the round-trip form with seven digits and ``Z``."""
    return uuid.uuid5(_DOTNET_NAMESPACE, f"{instance_id}_{now_text}_{number}")


_EXECUTIONS = uuid.UUID("b6f3a1de-5f0c-5f43-9d4e-0f6d3c8b7a21")


def child_execution_id(execution_id: str, task_id: int) -> str:
    """Execution id of the child that task ``task_id`` starts: the same however often the episode is repeated."""
    return uuid.uuid5(_EXECUTIONS, f"{execution_id}:{task_id}").hex


def next_execution_id(execution_id: str) -> str:
    """Execution id of the generation that follows ``execution_id``, the same however often the episode is repeated."""
    # ``uuid.uuid5(_EXECUTIONS, ...).hex`` in a fifth of the time: ``descends`` makes many in a row.
    digest = hashlib.sha1(_EXECUTIONS.bytes + f"{execution_id}:next".encode(), usedforsecurity=False).hexdigest()
    return f"{digest[:12]}5{digest[13:16]}{'89ab'[int(digest[16], 16) & 3]}{digest[17:32]}"


def orchestration_request_id(instance_id: str, execution_id: str, number: int, target: str, what: str) -> uuid.UUID:
    """Id of an entity request of an orchestration: a version-5 UUID in .NET's namespace (semantics 2.9).

    .NET puts the current time into the name. Here stand the execution, and what is asked of whom, so that an episode
    that is repeated because it was not committed asks under the same id, and the entity recognises it.
    """
    return uuid.uuid5(_DOTNET_NAMESPACE, f"{instance_id}_{execution_id}_{number}_{target}_{what}")


def entity_request_id(instance_id: str, cause: str, number: int) -> uuid.UUID:
    """Id of the ``number``-th message that an entity sends because of the request ``cause``."""
    return uuid.uuid5(_DOTNET_NAMESPACE, f"{instance_id}_{cause}_{number}")


_MOST_GENERATIONS = 100_000


def descends(execution_id: str, ancestor: str) -> bool:
    """``execution_id`` is a later generation of ``ancestor``, by ``next_execution_id``."""
    for _ in range(_MOST_GENERATIONS):
        ancestor = next_execution_id(ancestor)
        if ancestor == execution_id:
            return True
    return False
