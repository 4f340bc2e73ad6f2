"""Any client's events, in any order, with any beats between them: no crash, and a legal story.

The clients here do all that the protocol allows and much that it does not; the rules below are what
a stock client relies on.
"""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from antiphon.runtime.events import CallerWordEvent
from antiphon.serving.call import Closed, Dtmf, Lost
from tests.serving.scene import SECONDS, Scene

SOUND = base64.b64encode(np.zeros(960, "<i2").tobytes()).decode()
JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**6), 10**6)
    | st.floats(allow_nan=False, allow_infinity=False, allow_subnormal=False)
    | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)
DETECTION = st.sampled_from(
    [
        None,
        {"type": "server_vad"},
        {"type": "server_vad", "create_response": False},
        {"type": "server_vad", "interrupt_response": False, "silence_duration_ms": 0},
        {"type": "semantic_vad", "eagerness": "high"},
        {"type": "server_vad", "idle_timeout_ms": 200},
        {"threshold": 0.1},
    ]
)
FORMATS = st.sampled_from(["audio/pcm", "audio/pcmu", "audio/pcma", "pcm16", "mp3"])
TYPES = [
    "session.update",
    "input_audio_buffer.append",
    "input_audio_buffer.commit",
    "input_audio_buffer.clear",
    "output_audio_buffer.clear",
    "conversation.item.create",
    "conversation.item.delete",
    "conversation.item.retrieve",
    "conversation.item.truncate",
    "response.create",
    "response.cancel",
    "response.dance",
]


class Client(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.scene = Scene()
        self.read = 0
        self.responses: dict[str, str] = {}
        self.items: set[str] = set()
        self.announced: str | None = None
        self.closed = False

    def send(self, type: str, **fields: Any) -> list[dict[str, Any]]:
        answers = self.scene.client(type, **fields)
        assert len([event for event in answers if event["type"] == "error"]) <= 1
        return answers

    def an_item(self, data: st.DataObject) -> str:
        return data.draw(st.sampled_from([*sorted(self.items), "nobody", "root", ""]))

    # -- what a client does ------------------------------------------------------

    @rule(seconds=st.sampled_from([0, 1, 3]), good=st.booleans())
    def append(self, seconds: int, good: bool) -> None:
        answers = self.send("input_audio_buffer.append", audio=SOUND * seconds if good else "?")
        assert bool(answers) != good

    @rule()
    def commit(self) -> None:
        self.send("input_audio_buffer.commit")

    @rule(which=st.sampled_from(["input", "output"]))
    def clear(self, which: str) -> None:
        self.send(f"{which}_audio_buffer.clear")

    @rule(detection=DETECTION, form=FORMATS, modality=st.sampled_from([None, ["text"], ["audio"]]))
    def update(self, detection: Any, form: str, modality: Any) -> None:
        session: dict[str, Any] = {"audio": {"input": {"turn_detection": detection}}}
        session["audio"]["output"] = {"format": {"type": form}}
        if modality:
            session["output_modalities"] = modality
        *_, answer = self.send("session.update", session=session)
        assert answer["type"] in ("session.updated", "error")

    @rule(
        config=st.sampled_from(
            [
                None,
                {},
                {"metadata": {"say": "hello there"}},
                {"metadata": {"say": "hello"}, "conversation": "none"},
                {"conversation": "none", "input": []},
                {"output_modalities": ["text"]},
                {"instructions": "say: hi"},
                {"metadata": {"client_event_id": "c1"}},
            ]
        )
    )
    def ask(self, config: Any) -> None:
        answers = self.send("response.create", **({} if config is None else {"response": config}))
        created = [e for e in answers if e["type"] == "response.created"]
        assert created or answers[0]["type"] == "error"
        if created and config:
            assert created[0]["response"]["metadata"] == config.get("metadata")

    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        known = data.draw(st.sampled_from([None, "resp_x", *self.responses]))
        self.send("response.cancel", **({"response_id": known} if known else {}))

    @rule(data=st.data(), kind=st.sampled_from(["message", "output", "call", "voice"]))
    def create(self, data: st.DataObject, kind: str) -> None:
        item: dict[str, Any] = {"type": "message", "role": "user", "content": []}
        if kind == "output":
            item = {"type": "function_call_output", "call_id": "c", "output": "x"}
        elif kind == "call":
            item = {"type": "function_call", "name": "n", "arguments": "{}"}
        elif kind == "voice":
            item["content"] = [{"type": "input_audio", "audio": SOUND}]
        chosen = data.draw(st.sampled_from([None, "mine", "yours"]))
        if chosen:
            item["id"] = chosen
        after = data.draw(st.booleans()) and self.an_item(data)
        self.send(
            "conversation.item.create", item=item, **({"previous_item_id": after} if after else {})
        )

    @rule(data=st.data(), end=st.sampled_from([0, 1, 500, 10**6]), index=st.integers(-1, 2))
    def truncate(self, data: st.DataObject, end: int, index: int) -> None:
        item = self.an_item(data)
        self.send("conversation.item.truncate", item_id=item, content_index=index, audio_end_ms=end)

    @rule(data=st.data(), what=st.sampled_from(["delete", "retrieve"]))
    def touch(self, data: st.DataObject, what: str) -> None:
        self.send(f"conversation.item.{what}", item_id=self.an_item(data))

    @rule(type=st.sampled_from(TYPES), body=st.dictionaries(st.text(max_size=8), JUNK, max_size=3))
    def talk_nonsense(self, type: str, body: dict[str, Any]) -> None:
        self.send(type, **{key: value for key, value in body.items() if key != "type"})

    @rule(text=st.text(max_size=20))
    def talk_no_json(self, text: str) -> None:
        self.scene.protocol.receive(text)

    # -- what the call does --------------------------------------------------------

    @rule(
        count=st.integers(1, 12),
        speech=st.booleans(),
        voice=st.booleans(),
        text=st.sampled_from([0, 0, 1, 5]),
        turn=st.sampled_from([0, 1, 2, 3]),
        filled=st.sampled_from([0, 1280]),
    )
    def beats(
        self, count: int, speech: bool, voice: bool, text: int, turn: int, filled: int
    ) -> None:
        self.scene.beats(count, speech=speech, voice=voice, text=text, turn=turn, filled=filled)

    @rule(word=st.sampled_from(["latte", "a"]), late=st.sampled_from([0.0, 0.4, 3.0]))
    def caller_word(self, word: str, late: float) -> None:
        end = max(0.0, self.scene.now * SECONDS - late)
        told = CallerWordEvent(time=self.scene.now * SECONDS, text=word, end=end)
        self.scene.beats(1, more=[told])

    @rule(words=st.lists(st.sampled_from(["yes", "coming"]), min_size=1, max_size=3))
    def agent_words(self, words: list[str]) -> None:
        self.scene.beats(1, voice=True, turn=1, words=words)

    @rule(state=st.sampled_from(["yielding", "speaking", "listening"]))
    def changes(self, state: str) -> None:
        self.scene.beats(1, voice=True, more=[self.scene.turn(state)])

    @rule()
    def calls(self) -> None:
        self.scene.beats(1, more=[self.scene.call(id=f"c{self.scene.now}", n=1)])

    @rule(seconds=st.sampled_from([0.0, 5.0]))
    def backlog(self, seconds: float) -> None:
        self.scene.port.backlog = seconds

    @rule()
    def others(self) -> None:
        self.scene.protocol.tell(Dtmf(time=1.0, digit="1"))
        self.scene.protocol.tell(Lost(time=1.0, seconds=0.1))

    # -- what a client relies on -------------------------------------------------------

    @invariant()
    def the_story_is_legal(self) -> None:
        new, self.read = self.scene.sent[self.read :], len(self.scene.sent)
        for event in new:
            self.check(event)
            json.dumps(event, allow_nan=False)

    def check(self, event: dict[str, Any]) -> None:
        kind = event["type"]
        running = [id for id, status in self.responses.items() if status == "in_progress"]
        if kind == "response.created":
            assert not running
            self.responses[event["response"]["id"]] = "in_progress"
        elif kind == "response.done":
            response = event["response"]
            assert self.responses[response["id"]] == "in_progress"
            assert response["status"] in ("completed", "cancelled", "failed", "incomplete")
            assert all(item["status"] != "in_progress" for item in response["output"])
            self.responses[response["id"]] = response["status"]
        elif kind.startswith("response."):
            assert event["response_id"] in running
        elif kind == "conversation.item.added":
            assert event["item"]["id"] not in self.items
            self.items.add(event["item"]["id"])
        elif kind == "conversation.item.deleted":
            self.items.discard(event["item_id"])
        elif kind == "input_audio_buffer.speech_started":
            assert self.announced is None
            self.announced = event["item_id"]
        elif kind == "input_audio_buffer.speech_stopped":
            assert event["item_id"] == self.announced
            self.announced = None
        elif kind in ("input_audio_buffer.committed", "input_audio_buffer.cleared"):
            self.announced = None
        elif kind == "error":
            assert event["error"]["message"]

    def teardown(self) -> None:
        self.scene.protocol.tell(Closed(time=1.0, reason="server: going down"))
        self.the_story_is_legal()
        assert "in_progress" not in self.responses.values()


TestClient = Client.TestCase
TestClient.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
