"""Every pair of sender and entity keeps its order, and nothing arrives twice (orchestration-semantics 9.8).

A sender labels each message with its time and with the time of its previous message to the same entity; the receiver
puts back into order what arrives within the reorder window, and drops what it has seen.

An episode that is tried twice sends its messages twice, the same ids under two labels, and the try that counts may be
the one with the smaller labels. So a label alone does not prove that a message has been seen: ids decide where they
can.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from durable_core.core.entity_json import NEVER, Unzoned, read_time, text_member, time_text
from durable_core.core.entity_messages import RequestMessage
from durable_core.core.ticks import PER_SECOND

SEEN = "ffffffff-ffff-ffff-ffff-ffffffffffff"
"""Id of a message that only keeps its place in the order, because it has taken effect already."""
_TWO_TRIES = 600 * PER_SECOND
"""Ticks between the labels of two tries of one episode, at most; behind that only labels count."""
_COLLECTION_INTERVAL = 10 * PER_SECOND
"""The horizons move at most this often."""


@dataclass(slots=True)
class ReceiveBuffer:
    """What a receiver knows of one sender.

    Attributes:
        last: label of the last message that was delivered.
        execution_id: generation of the sending orchestration.
        buffered: messages whose predecessor is still missing, by label.
    """

    last: int = NEVER
    execution_id: str | None = None
    buffered: dict[int, RequestMessage] = field(default_factory=dict)


@dataclass(slots=True)
class MessageSorter:
    """Labels what its owner sends, and sorts what its owner receives. Times are ticks; 0 means never."""

    sent: dict[str, int] = field(default_factory=dict)
    received: dict[str, ReceiveBuffer] = field(default_factory=dict)
    receive_horizon: int = NEVER
    send_horizon: int = NEVER

    def label(self, message: RequestMessage, target: str, now: int, window: int) -> RequestMessage:
        """``message`` with its place in the order of all messages to ``target``.

        Args:
            now: ticks; labels to one target grow even when it stands still.
            window: reorder window in ticks, 0 for no order at all.
        """
        if window <= 0:
            return message
        if self.send_horizon + window + _COLLECTION_INTERVAL < now:
            self.send_horizon = now - window
            self.sent = {key: last for key, last in self.sent.items() if last >= self.send_horizon}
        key = _key(self.sent, target)
        last = self.sent.get(key, NEVER)
        timestamp = max(now, last + 1) if last else now
        if message.position > 0:
            # The receiver passes a forwarded lock request through without a note, so no later message may wait for
            # it: its label stands for an order only if it is the first, and then it is marked as nobody's predecessor.
            self.sent.setdefault(key, Unzoned(timestamp))
        else:
            self.sent[key] = timestamp
        return replace(message, timestamp=timestamp, predecessor=NEVER if isinstance(last, Unzoned) else last)

    def receive(self, message: RequestMessage, window: int, known: Container[Any] = ()) -> list[RequestMessage]:
        """The messages that may be delivered now that ``message`` is here, in order; none if it has to wait, or came
        before.

        Args:
            known: ids of messages that were received lately.
        """
        if window <= 0 or message.parent is None or message.position > 0 or not message.timestamp:
            return [message]
        delivered: list[RequestMessage] = []
        if self.receive_horizon + window + _COLLECTION_INTERVAL < message.timestamp:
            self._advance(message.timestamp - window, delivered)
        if message.timestamp < self.receive_horizon:
            return [*delivered, message]
        key = _key(self.received, message.parent)
        source = self.received.get(key)
        if source is None:
            source = self.received[key] = ReceiveBuffer(execution_id=message.parent_execution)
        elif source.execution_id != message.parent_execution and (
            message.id in known or message.timestamp <= source.last
        ):
            return [*delivered, message]  # a latecomer of an older execution leaves the order of the newer one alone
        elif source.execution_id != message.parent_execution:
            delivered += [source.buffered[label] for label in sorted(source.buffered) if label > source.last]
            source.buffered.clear()
            source.last = NEVER
            source.execution_id = message.parent_execution
        if message.timestamp <= source.last:
            if 0 < source.last - message.timestamp <= _TWO_TRIES and message.id not in known:
                # Overtaken by a try with larger labels, which was given up; so are those that waited for it.
                delivered.append(message)
                self._deliver_behind(source, message.timestamp, delivered)
            return delivered
        if message.predecessor > source.last and message.predecessor >= self.receive_horizon:
            source.buffered[message.timestamp] = replace(message, id=SEEN) if message.id in known else message
            return delivered
        delivered.append(message)
        source.last = message.timestamp
        self._deliver_ready(source, delivered)
        return delivered

    def seen(self, message: RequestMessage) -> None:
        """``message`` takes effect now: copies of it that wait keep only their place in the order."""
        source = self.received.get(message.parent or "")
        if source is not None:
            for label, waiting in list(source.buffered.items()):
                if waiting.id == message.id and label <= source.last:
                    del source.buffered[label]
                elif waiting.id == message.id:
                    source.buffered[label] = replace(waiting, id=SEEN)

    def _advance(self, horizon: int, delivered: list[RequestMessage]) -> None:
        self.receive_horizon = horizon
        for key, source in list(self.received.items()):
            source.buffered = {label: waits for label, waits in source.buffered.items() if label > source.last}
            if source.last < horizon:
                source.last = NEVER
            self._deliver_ready(source, delivered)
            if not source.last and not source.buffered:
                del self.received[key]

    def _deliver_ready(self, source: ReceiveBuffer, delivered: list[RequestMessage]) -> None:
        """Deliver what waits for nothing any more. A message that the labels have jumped over belongs to a try that
        was given up, or that was overtaken by one: it waits for its copy, or for its own predecessor."""
        for label in sorted(source.buffered):
            message = source.buffered[label]
            if label <= source.last:
                if message.id == SEEN:
                    del source.buffered[label]
                continue
            if message.predecessor > source.last and message.predecessor >= self.receive_horizon:
                return
            del source.buffered[label]
            delivered.append(message)
            source.last = label if label >= self.receive_horizon else NEVER

    def _deliver_behind(self, source: ReceiveBuffer, label: int, delivered: list[RequestMessage]) -> None:
        """Deliver the chain of messages that follows ``label``."""
        following = [key for key, waits in source.buffered.items() if waits.predecessor == label]
        for key in sorted(following):
            delivered.append(source.buffered.pop(key))
            self._deliver_behind(source, key, delivered)

    @property
    def waiting(self) -> int:
        """Messages that wait for their predecessors and have not taken effect."""
        return sum(
            item.id != SEEN and label > source.last
            for source in self.received.values()
            for label, item in source.buffered.items()
        )

    def to_json(self) -> dict[str, Any]:
        document: dict[str, Any] = {}
        if self.sent:
            document["LastSentToInstance"] = {key: time_text(last) for key, last in self.sent.items()}
        if self.received:
            document["ReceivedFromInstance"] = {key: _source_json(source) for key, source in self.received.items()}
        if self.receive_horizon:
            document["ReceiveHorizon"] = time_text(self.receive_horizon)
        if self.send_horizon:
            document["SendHorizon"] = time_text(self.send_horizon)
        return document

    @classmethod
    def of_json(cls, document: Mapping[str, Any]) -> MessageSorter:
        """Read what ``to_json`` or .NET wrote.

        Raises:
            ValueError: it cannot be read.
        """
        try:
            return cls(
                {key: read_time(last) for key, last in (document.get("LastSentToInstance") or {}).items()},
                {key: _read_source(source) for key, source in (document.get("ReceivedFromInstance") or {}).items()},
                read_time(document.get("ReceiveHorizon")),
                read_time(document.get("SendHorizon")),
            )
        except (AttributeError, TypeError) as error:
            raise ValueError(f"the message sorter cannot be read: {error}") from error


def _key(known: Mapping[str, Any], instance_id: str) -> str:
    """The key under which an instance is known; ids are compared ignoring case."""
    if instance_id in known:
        return instance_id
    folded = instance_id.casefold()
    return next((key for key in known if key.casefold() == folded), instance_id)


def _source_json(source: ReceiveBuffer) -> dict[str, Any]:
    document: dict[str, Any] = {"Last": time_text(source.last)}
    if source.execution_id is not None:
        document["ExecutionId"] = source.execution_id
    if source.buffered:
        document["Buffered"] = {time_text(label): source.buffered[label].to_json() for label in sorted(source.buffered)}
    return document


def _read_source(document: Mapping[str, Any]) -> ReceiveBuffer:
    buffered = document.get("Buffered") or {}
    return ReceiveBuffer(
        read_time(document.get("Last")),
        text_member(document, "ExecutionId"),
        {read_time(label): RequestMessage.of_json(message) for label, message in buffered.items()},
    )
