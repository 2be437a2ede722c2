"""Values too large for a queue or a column: gzip blobs in ``{hub}-largemessages`` (task-hub 1.3, 3.8, 4.5, 5.3)."""

from __future__ import annotations

import gzip
import zlib
from random import Random
from urllib.parse import unquote

from durable_core.core.history import EVENT_TYPES
from durable_core.core.messages import MessageData
from durable_core.errors import MissingBlobError, NotFoundError, UndecodableMessageError
from durable_core.storage.base import BlobStore

MESSAGE_BYTES = 45 * 1024
"""A message whose UTF-8 text is longer goes to a blob."""

_SUFFIX = ".json.gz"
_START = "ExecutionStarted.json.gz"


def message_blob(data: MessageData, text: str) -> str | None:
    """Name of the blob for a message that is too large for its queue, else None."""
    if len(text) <= MESSAGE_BYTES and (text.isascii() or len(text.encode()) <= MESSAGE_BYTES):
        return None
    message = data.task_message
    assert message is not None, "a blob reference is always small"
    kind = EVENT_TYPES[type(message.event)].name
    return f"{message.target.instance_id}/message-{data.activity_id.replace('-', '')}-{kind}{_SUFFIX}"


def history_blob(partition_key: str, row_key: str, event_type: str, column: str, random: Random) -> str:
    """Name of the blob for an overflowing column; the partition key is the *escaped* instance id."""
    return f"{partition_key}/history-{row_key}-{event_type}-{random.getrandbits(31):08X}-{column}{_SUFFIX}"


class PayloadStore:
    """Reads and writes the blobs of one hub.

    Args:
        container: created when it is first needed.
        random: makes blob names unique.
    """

    def __init__(self, blobs: BlobStore, container: str, random: Random) -> None:
        self._blobs = blobs
        self._container = container
        self.random = random

    async def put(self, name: str, text: str) -> None:
        """Store one text, overwriting."""
        data = gzip.compress(text.encode("utf-8", "surrogatepass"), 6, mtime=0)
        try:
            await self._blobs.put(self._container, name, data)
        except NotFoundError:
            await self._blobs.create_container(self._container)
            await self._blobs.put(self._container, name, data)

    async def get(self, name: str) -> str:
        """The text of a blob.

        Raises:
            MissingBlobError: there is no such blob.
            UndecodableMessageError: it is no gzip of UTF-8.
        """
        try:
            data = await self._blobs.get(self._container, name)
        except NotFoundError as error:
            text = f"blob '{name}' of container {self._container} does not exist"
            raise MissingBlobError(text, name=name) from error
        try:
            if not data:
                raise EOFError("it is empty")  # what .NET leaves behind when it dies in an upload; gzip takes it as ""
            return gzip.decompress(data).decode("utf-8-sig", "surrogatepass")
        except (OSError, EOFError, zlib.error, ValueError) as error:
            raise UndecodableMessageError(
                f"blob '{name}' of container {self._container} is no gzip of UTF-8 text: {error}"
            ) from error

    async def delete(self, name: str) -> None:
        """Delete a blob; one that is gone is no error."""
        try:
            await self._blobs.delete(self._container, name)
        except NotFoundError:
            return

    async def names(self, folder: str) -> list[str]:
        """Names of all blobs that begin with ``folder``."""
        return [blob.name async for blob in self._blobs.list(self._container, folder)]

    def url(self, name: str) -> str:
        """Absolute URL of a blob, as the Instances table keeps it."""
        return self._blobs.url(self._container, name)

    def name_of(self, value: str) -> str | None:
        """Blob name if ``value`` is a URL under our own container (in any spelling), else None."""
        prefix = self._blobs.url(self._container, "")
        if not value.startswith(prefix) or not value.endswith(_SUFFIX):
            return None
        return unquote(value[len(prefix) :])

    @staticmethod
    def instance_of(name: str) -> str:
        """Id of the instance that the blob of a message is for."""
        return name.rpartition("/")[0]

    @staticmethod
    def is_message_document(name: str) -> bool:
        """The blob holds a whole start message, not just the input (task-hub 5.3)."""
        return name.endswith(_START)
