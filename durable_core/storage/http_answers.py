"""Reads a service's answers from the bytes of one connection."""

from __future__ import annotations

from httptools import HttpParserError, HttpResponseParser

from durable_core.storage.answers import Answer
from durable_core.storage.transport import NoAnswerError


class AnswerReader:
    """Takes the bytes as they come; one answer is expected at a time.

    Attributes:
        has_begun: part of an answer is here.
        is_reusable: the connection may carry another request behind the last answer.
    """

    def __init__(self) -> None:
        self.has_begun = False
        self.is_reusable = True
        self._parser = HttpResponseParser(self)
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []
        self._ends_with_connection = False
        self._answer: Answer | None = None

    def feed(self, data: bytes) -> Answer | None:
        """The answer, once ``data`` has brought its end.

        Raises:
            NoAnswerError: this is not HTTP.
        """
        self.has_begun = True
        try:
            self._parser.feed_data(data)
        except HttpParserError as error:
            if self._answer is None:
                raise NoAnswerError(f"the answer is not HTTP: {error}") from error
            self.is_reusable = False  # what is wrong stands behind it
        return self._taken()

    def end(self) -> Answer | None:
        """The answer, if it ends where the connection does."""
        if self._ends_with_connection:
            self._ends_with_connection = self.is_reusable = False
            self._complete()
        return self._taken()

    def _taken(self) -> Answer | None:
        answer, self._answer = self._answer, None
        if answer is not None:
            self.has_begun = False
        return answer

    def _complete(self) -> None:
        self._answer = Answer(self._parser.get_status_code(), self._headers, b"".join(self._body))

    # --- what the parser calls ---

    def on_message_begin(self) -> None:
        if self._answer is not None:
            self.is_reusable = False  # nobody asked for a second one
        self._headers, self._body = {}, []

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        self._ends_with_connection = "content-length" not in self._headers and "transfer-encoding" not in self._headers

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        self._ends_with_connection = False
        # Below 200, the service only says that it goes on.
        if self._parser.get_status_code() >= 200 and self._answer is None:
            self.is_reusable = self.is_reusable and self._parser.should_keep_alive()
            self._complete()
