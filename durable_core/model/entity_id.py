"""``EntityId`` as apps use it, with the static methods of ``azure.durable_functions`` (python-api 6.4)."""

from __future__ import annotations

from durable_core.core.entity_ids import EntityId as CoreEntityId


class EntityId(CoreEntityId):
    """The address of one entity: the name of its function, and a key.

    The name counts without regard to case, the key exactly as it is.

    Raises:
        ValueError: name or key is empty, or breaks a rule; the text says which.
    """

    __slots__ = ()

    def __init__(self, name: str, key: str) -> None:
        if not key:
            raise ValueError("the entity key cannot be empty")
        super().__init__(name, key)

    @staticmethod
    def get_scheduler_id(entity_id: CoreEntityId) -> str:
        """``@name@key``."""
        return entity_id.instance_id

    @staticmethod
    def get_entity_id(scheduler_id: str) -> EntityId:
        """The entity behind ``@name@key``; the key may contain ``@``.

        Raises:
            ValueError: the text has another shape.
        """
        found = CoreEntityId.parse(scheduler_id)
        return EntityId(found.name, found.key)

    @staticmethod
    def get_entity_id_url_path(entity_id: CoreEntityId) -> str:
        """Its place below the management API's address."""
        return f"entities/{entity_id.name}/{entity_id.key}"


def checked(entity_id: object, where: str) -> CoreEntityId:
    """``entity_id`` if it is one.

    Raises:
        TypeError: it is something else; the text names ``where`` and the way out.
    """
    if isinstance(entity_id, CoreEntityId):
        return entity_id
    raise TypeError(f"{where} needs an EntityId('name', 'key'), not {entity_id!r}")
