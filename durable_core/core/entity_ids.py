"""Who an entity is: name and key, and the instance id made of them (orchestration-semantics 9.2)."""

from __future__ import annotations

import re
from functools import total_ordering

_FORBIDDEN = re.compile(r"[/\\#?\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_LONGEST = 256


@total_ordering
class EntityId:
    """The address of one entity.

    Two ids are equal when they print alike: the name counts without regard to case, the key exactly as it is. Ids are
    ordered by name and key, which is the order in which a critical section locks them (semantics 9.9).

    Args:
        name: of the entity function.
        key: which of its entities; may contain ``@``.

    Raises:
        ValueError: the id breaks a rule; the text says which.
    """

    __slots__ = ("instance_id", "key", "name")

    name: str
    key: str
    instance_id: str
    """``@name@key``, the name in lower case."""

    def __init__(self, name: str, key: str) -> None:
        if not isinstance(name, str) or not isinstance(key, str):
            raise ValueError(f"an entity's name and key must be text, not {name!r} and {key!r}")
        if not name:
            raise ValueError("the entity name cannot be empty")
        if "@" in name:
            raise ValueError(
                f"the entity name '{name}' must not contain '@'; EntityId takes name and key, an instance id such as "
                "'@counter@a' is read by EntityId.parse"
            )
        text = f"@{name}@{key}"
        if len(text) > _LONGEST:
            raise ValueError(f"name and key of an entity may have {_LONGEST - 2} characters, here are {len(text) - 2}")
        wrong = _FORBIDDEN.search(text)
        if wrong is not None:
            raise ValueError(
                f"the entity id '{text!a}' contains {wrong[0]!r}; /, \\, #, ? and control characters are not allowed"
            )
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "key", key)
        object.__setattr__(self, "instance_id", f"@{name.lower()}@{key}")

    @classmethod
    def parse(cls, instance_id: str) -> EntityId:
        """The entity behind an instance id: everything behind the second ``@`` is the key.

        Raises:
            ValueError: the text has not the shape ``@name@key``.
        """
        end = instance_id.find("@", 1)
        if not instance_id.startswith("@") or end < 2:
            raise ValueError(f"'{instance_id}' is no entity id; it must look like @name@key")
        return EntityId(instance_id[1:end], instance_id[end + 1 :])

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("an EntityId cannot be changed")

    def __delattr__(self, name: str) -> None:
        raise AttributeError("an EntityId cannot be changed")

    def __reduce__(self) -> tuple[type[EntityId], tuple[str, str]]:
        return type(self), (self.name, self.key)

    def __str__(self) -> str:
        return self.instance_id

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r}, {self.key!r})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, EntityId):
            return NotImplemented
        return self.instance_id == other.instance_id

    def __lt__(self, other: object) -> bool:
        if not isinstance(other, EntityId):
            return NotImplemented
        return (self.name.lower(), self.key) < (other.name.lower(), other.key)

    def __hash__(self) -> int:
        return hash(self.instance_id)


def is_entity(instance_id: str | None) -> bool:
    """The instance id belongs to an entity, not to an orchestration."""
    return instance_id is not None and instance_id.startswith("@")
