from __future__ import annotations

import pytest

from antiphon.client.address import parse
from antiphon.errors import AntiphonError


@pytest.mark.parametrize(
    ("given", "socket", "rest"),
    [
        ("ws://h:1", "ws://h:1/v1/realtime", "http://h:1/v1"),
        ("http://h:1/", "ws://h:1/v1/realtime", "http://h:1/v1"),
        ("wss://h/v1", "wss://h/v1/realtime", "https://h/v1"),
        ("https://h/voice/v1", "wss://h/voice/v1/realtime", "https://h/voice/v1"),
        ("ws://h/v1/realtime?model=a%20b", "ws://h/v1/realtime?model=a%20b", "http://h/v1"),
        ("ws://[::1]:80/v1/realtime/", "ws://[::1]:80/v1/realtime", "http://[::1]:80/v1"),
    ],
)
def test_every_form_of_an_address_leads_to_the_same_places(given, socket, rest) -> None:
    address = parse(given)
    assert (address.realtime(), address.rest) == (socket, rest)


def test_a_model_that_is_asked_for_goes_before_the_address_s() -> None:
    assert parse("ws://h/v1/realtime?model=a").realtime("b") == "ws://h/v1/realtime?model=b"
    assert parse("ws://h").realtime("b/c") == "ws://h/v1/realtime?model=b/c"


@pytest.mark.parametrize("given", ["", "h:1", "ftp://h", "ws://", "ws://h:0", "ws://h:x", "ws://["])
def test_what_is_no_address_is_one_sentence(given) -> None:
    with pytest.raises(AntiphonError, match="is like ws://"):
        parse(given)


def test_a_password_in_an_address_is_kept_nowhere() -> None:
    assert "secret" not in repr(parse("wss://me:secret@h/v1"))
