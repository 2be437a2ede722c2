"""What may be left in storage at the end of a run: nothing that nobody refers to, nothing that cannot be read."""

from __future__ import annotations

from collections.abc import Collection

from durable_core.taskhub.hub import TaskHub
from durable_core.taskhub.keys import escape_key
from tests.simulation.scene import Scene


async def check_leftovers(scene: Scene, hub: TaskHub, instances: Collection[str]) -> None:
    """No message, and none that was set aside; no blob and no history of an instance that is not among ``instances``.

    Blobs of messages, and those that clients write for rows, stay until their instance is purged (task-hub 3.8).
    """
    assert scene.left_over() == {}, f"messages are left: {_texts(scene)}"
    poison = [row.values for row in scene.storage.rows(scene.names.poison)]
    assert not poison, f"messages were set aside: {poison[0]['PartitionKey']!r}, {poison[0]['Reason']!r}"
    owners = {escape_key(key) for key in instances} | set(instances)
    blobs = set(scene.storage.blob_names(scene.names.large_messages))
    stray = [name for name in blobs if name.split("/")[0] not in owners]
    assert not stray, f"blobs of no instance: {stray}"
    keys = {str(row.values["PartitionKey"]) for row in scene.storage.rows(scene.names.history)}
    assert keys <= owners, f"histories of no instance: {sorted(keys - owners)}"
    used = await _used(scene, hub, instances)
    assert used <= blobs, f"blobs are missing: {used - blobs}"
    if not scene.was_hurt:
        unused = [name for name in blobs - used if name.partition("/")[2].startswith("history-0")]
        assert not unused, f"blobs of checkpoints that nothing refers to: {unused}"


async def _used(scene: Scene, hub: TaskHub, instances: Collection[str]) -> set[str]:
    """Blobs that rows refer to; those of older generations are not read any more."""
    used: set[str] = set()
    for key in instances:
        used |= set((await hub.history.load(key, with_blobs=False)).blobs.values())
    for row in scene.storage.rows(scene.names.instances):
        for column in ("Input", "Output"):
            name = hub.payloads.name_of(str(row.values.get(column) or ""))
            if name is not None:
                used.add(name)
    return used


def _texts(scene: Scene) -> list[str]:
    return [
        f"{queue} x{message.dequeue_count}: {message.text[:700]}"
        for queue in scene.left_over()
        for message in scene.storage.messages(queue)
    ][:3]
