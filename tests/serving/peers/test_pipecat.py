"""pipecat (`pip install pipecat-ai`), unchanged, by address alone, over Realtime and Live."""

from __future__ import annotations

import pytest

from tests.serving.peers.order import Peer, audible, check, texts
from tests.serving.served import served


@pytest.mark.slow
@pytest.mark.parametrize("protocol", ["realtime", "live"])
def test_a_spoken_order(peer: Peer, protocol: str) -> None:
    with served("cafe", group=1, seed=0) as server:
        told = peer("with_pipecat", protocol, server.ws)
        server.wait_empty()
    assert "error" not in told, told["error"]
    assert {each["name"] for each in told["call"]} == {"place_order"}
    calls = [each["arguments"] for each in told["call"]]
    check(calls, texts(told, "heard"), texts(told, "said"), audible(told))
