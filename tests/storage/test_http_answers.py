"""Answers are the same however the network cuts them."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable_core.storage.answers import Answer
from durable_core.storage.http_answers import AnswerReader
from durable_core.storage.transport import NoAnswerError

BODIES = st.binary(max_size=300)
STATUSES = st.sampled_from([200, 201, 202, 206, 400, 404, 409, 412, 500, 503])


def plain(status: int, body: bytes) -> bytes:
    return b'HTTP/1.1 %d Some Reason\r\nETag: "a"\r\nx-Empty:\r\nContent-Length: %d\r\n\r\n%b' % (
        status,
        len(body),
        body,
    )


def chunked(status: int, body: bytes, size: int) -> bytes:
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in [*pieces, b""])
    return b'HTTP/1.1 %d\r\netag: "a"\r\nX-EMPTY: \r\nTransfer-Encoding: chunked\r\n\r\n%b' % (status, chunks)


@st.composite
def wires(draw: st.DrawFn) -> tuple[int, bytes, bytes]:
    status, body = draw(STATUSES), draw(BODIES)
    if draw(st.booleans()):
        return status, body, plain(status, body)
    return status, body, chunked(status, body, draw(st.integers(1, 100)))


def read(reader: AnswerReader, wire: bytes, cuts: list[int]) -> list[Answer]:
    """What ``wire`` says, in pieces that end at ``cuts``."""
    edges = [0, *sorted(cut % (len(wire) + 1) for cut in cuts), len(wire)]
    pieces = [wire[start:end] for start, end in pairwise(edges) if start < end]
    return [answer for answer in map(reader.feed, pieces) if answer is not None]


@given(st.lists(wires(), min_size=1, max_size=4), st.lists(st.integers(0, 2000), max_size=8), st.booleans())
def test_one_answer_after_the_other_in_any_pieces(
    answers: list[tuple[int, bytes, bytes]], cuts: list[int], goes_on: bool
) -> None:
    reader = AnswerReader()
    for status, body, wire in answers:
        assert not reader.has_begun
        before = b"HTTP/1.1 100 Continue\r\n\r\n" if goes_on else b""
        (answer,) = read(reader, before + wire, cuts)
        assert (answer.status, answer.body) == (status, body)
        assert answer.headers["etag"] == '"a"'
        assert answer.headers["x-empty"] == ""
    assert reader.is_reusable
    assert not reader.has_begun
    assert reader.end() is None


@pytest.mark.parametrize("status", [204, 304])
def test_some_answers_have_no_body(status: int) -> None:
    reader = AnswerReader()
    answer = reader.feed(b"HTTP/1.1 %d No\r\nDate: x\r\n\r\n" % status)
    assert answer == Answer(status, {"date": "x"}, b"")
    assert reader.is_reusable


def test_an_answer_without_length_ends_where_the_connection_does() -> None:
    reader = AnswerReader()
    assert reader.feed(b"HTTP/1.1 502 Bad Gateway\r\nServer: proxy\r\n\r\n<html>") is None
    assert reader.feed(b"</html>") is None
    answer = reader.end()
    assert answer == Answer(502, {"server": "proxy"}, b"<html></html>")
    assert not reader.is_reusable


@pytest.mark.parametrize("wire", [plain(200, b"abc")[:-1], chunked(200, b"abc", 2)[:-2], b"HTTP/1.1 200 OK\r\nETag"])
def test_half_an_answer_is_none(wire: bytes) -> None:
    reader = AnswerReader()
    assert reader.feed(wire) is None
    assert reader.has_begun
    assert reader.end() is None


def test_that_it_goes_on_is_no_answer() -> None:
    reader = AnswerReader()
    assert reader.feed(b"HTTP/1.1 100 Continue\r\n\r\n") is None
    assert reader.end() is None


@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\nConnection: close\r\n", b"HTTP/1.0 200 OK\r\n"])
def test_the_service_tells_that_it_will_close(head: bytes) -> None:
    reader = AnswerReader()
    answer = reader.feed(head + b"Content-Length: 1\r\n\r\na")
    assert answer is not None
    assert answer.body == b"a"
    assert not reader.is_reusable


@pytest.mark.parametrize("surplus", [plain(200, b"b"), b"HTTP/1.1 2", b"garbage"])
def test_nobody_asked_for_what_comes_behind_an_answer(surplus: bytes) -> None:
    reader = AnswerReader()
    answer = reader.feed(plain(201, b"a") + surplus)
    assert answer is not None
    assert (answer.status, answer.body) == (201, b"a")
    assert not reader.is_reusable


@pytest.mark.parametrize(
    "wire", [b"SSH-2.0-OpenSSH\r\n", b"\x15\x03\x01", b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"]
)
def test_what_is_not_http_is_told(wire: bytes) -> None:
    with pytest.raises(NoAnswerError, match="not HTTP"):
        AnswerReader().feed(wire)
