from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from antiphon.client.errors import Refused, refusal, why


def refused(status: int, retry: str = "", body: bytes = b"") -> Refused:
    made = refusal("ws://h", status, {"Retry-After": retry}, body, key="secret")
    assert isinstance(made, Refused)
    return made


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("7", 7.0), ("0.5", 0.5), ("-3", 0.0), ("", None), ("soon", None), ("inf", None)],
)
def test_when_to_come_back_is_read_from_numbers(header, seconds) -> None:
    assert refused(503, header).retry_after == seconds


def test_when_to_come_back_is_read_from_dates() -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    assert refused(429, date).retry_after == pytest.approx(30, abs=3)
    assert refused(429, "Mon, 01 Jan 2001 00:00:00 GMT").retry_after == 0


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[1]", b'{"error": "x"}', b'{"error": {"message": 5}}', b"[" * 5000]
)
def test_a_body_that_says_nothing_is_left_out(body) -> None:
    assert str(refused(500, body=body)) == "ws://h refuses (HTTP 500)"


def test_a_server_s_words_are_one_short_line_without_the_key() -> None:
    body = json.dumps({"error": {"message": "no\n secret " + "x" * 500}}).encode()
    said = str(refused(403, body=body))
    assert "no ... xxx" in said
    assert len(said) < 250


def test_the_system_s_own_reason_is_found_behind_a_library_s() -> None:
    error = RuntimeError("all attempts failed")
    error.__cause__ = ConnectionRefusedError(111, "Connect call failed ('127.0.0.1', 9)")
    assert why(error) == "Connection refused"
    assert why(ValueError()) == "ValueError"
