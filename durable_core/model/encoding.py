"""How inputs are written and read: the one thing about values that depends on the app object (python-api 10).

Results, outputs, custom status, entity state and results are the same everywhere: JSON, encoded once.
"""

from __future__ import annotations

from typing import Any

from durable_core.core.tasks import Decode
from durable_core.model.serialization import (
    decode_activity_input,
    decode_or_text,
    encode,
    encode_activity_input,
    encode_or_none,
)
from durable_core.model.typed import converting_decode


class InputEncoding:
    """Inputs are JSON, encoded once; no input is no text."""

    def start_input(self, value: Any, what: str) -> str | None:
        """Input of an instance that a client starts, or of an operation that it signals.

        Args:
            what: what the value is, for the error text.

        Raises:
            SerializationError: the value cannot be written; so everywhere here.
        """
        return encode_or_none(value, what)

    def call_input(self, value: Any, what: str) -> str | None:
        """Input of a sub-orchestration, of the next generation, or of an entity operation."""
        return encode_or_none(value, what)

    def activity_input(self, value: Any, activity: str) -> str:
        """Input of an activity: an array of one argument, as .NET writes it (semantics 4.2)."""
        return encode_activity_input(value, activity)

    def event_data(self, value: Any, what: str) -> str:
        """Data of an event that a client raises."""
        return encode(value, what)

    def read_input(self, text: str | None, expected: type | None = None) -> Any:
        """What ``get_input`` gives.

        Args:
            expected: the type that it should have.

        Raises:
            ValueError: the text is no JSON, or names a class that is not there; so below.
        """
        return self.typed(expected)(text)

    def shown_input(self, text: str | None) -> Any:
        """What a person is shown of an input: what cannot be read stays text."""
        return decode_or_text(text)

    def read_activity_input(self, text: str | None, expected: type | None = None) -> Any:
        """The argument inside an activity message; ``expected`` is the annotation of the parameter."""
        return decode_activity_input(text, expected)

    def typed(self, expected: type | None) -> Decode:
        """How results and events of an expected type are read."""
        return converting_decode(expected)


ENCODED_ONCE = InputEncoding()
