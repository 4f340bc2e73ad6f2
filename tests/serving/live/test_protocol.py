"""The Live protocol as a state machine; every message is held against openai's own types."""

from __future__ import annotations

import base64
import itertools
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from antiphon.runtime.events import AgentWordEvent, AudioEvent, CallerWordEvent, ToneEvent
from antiphon.serving.call import AgentStopped, CallMessage, Closed, Dtmf, Lost
from antiphon.serving.live import events as live
from antiphon.serving.live.acts import Close, Press, Push, Reaction, Result, Say, Start
from antiphon.serving.live.protocol import LiveSession
from antiphon.serving.turns import ToolCallEvent, Turn

openai_live = pytest.importorskip("openai.types.live")
SERVER: TypeAdapter[Any] = TypeAdapter(openai_live.ServerEvent)
TOOL = {"type": "function", "name": "place_order", "parameters": {"type": "object"}}
RESPONSES = {"type": "responses", "responses": {"model": "any", "tools": [TOOL]}}


def new(**given: Any) -> LiveSession:
    counter = itertools.count(1)
    return LiveSession(
        bundle="tiny", tools=["place_order"], ids=lambda kind: f"{kind}_{next(counter)}", **given
    )


def send(session: LiveSession, type_: str, /, **fields: Any) -> Reaction:
    return checked(session.receive(json.dumps({"type": type_, **fields})))


def checked(reaction: Reaction) -> Reaction:
    """The same, when a stock client can read all of it."""
    for told in reaction.told:
        message = told.wire()
        if not message["type"].startswith("antiphon."):
            SERVER.validate_python(message)
        json.dumps(message)
    return reaction


def started(config: dict[str, Any] | None = None, **given: Any) -> LiveSession:
    session = new(**given)
    reaction = send(session, "session.start", session={"model": "tiny", **(config or {})})
    assert [type(act) for act in reaction.acts] == [Start]
    checked(Reaction(session.begin("call_1", 1_900_000_000)))
    return session


def error(reaction: Reaction) -> live.Problem:
    (told,) = reaction.told
    assert isinstance(told, live.ErrorEvent)
    assert not reaction.acts
    return told.error


def types(told: Sequence[live.Told]) -> list[str]:
    return [message.type for message in told]


def call(number: int = 1) -> ToolCallEvent:
    return ToolCallEvent(
        time=2.0, name="place_order", arguments={"items": [{"drink": "latte"}]}, id=f"c{number}"
    )


def voice(time: float = 1.0) -> AudioEvent:
    return AudioEvent(time=time, samples=np.full(1280, 0.5, dtype=np.float32))


# -- beginning and ending ------------------------------------------------------------------


def test_nothing_is_taken_before_the_session_has_begun() -> None:
    session = new()
    problem = error(send(session, "session.input_audio.append", audio="", event_id="mine"))
    assert problem.code == "session_not_started"
    assert problem.client_event_id == "mine"


def test_a_started_session_is_told_whole() -> None:
    session = new()
    send(session, "session.start", session={"model": "gpt-live-1"}, event_id="e1")
    (told,) = session.begin("call_1", 1_900_000_000, "e1")
    message = told.wire()
    resource = message["session"]
    assert message["client_event_id"] == "e1"
    assert (resource["id"], resource["model"]) == ("call_1", "gpt-live-1")
    assert resource["audio"]["format"] == {"type": "audio/pcm", "rate": 24_000}
    assert resource["delegation"] == {"type": "client"}


def test_what_has_no_effect_is_said_once() -> None:
    session = new()
    strange = {"type": "function", "name": "get_weather"}
    config = {
        "model": "tiny",
        "instructions": "be a pirate",
        "delegation": {"type": "responses", "responses": {"tools": [TOOL, strange]}},
    }
    send(session, "session.start", session=config)
    told = session.begin("call_1", 1)
    assert types(told) == ["session.started", "info"]
    assert isinstance(told[1], live.Info)
    assert "instructions" in told[1].message
    assert "get_weather" in told[1].message


def test_a_session_begins_once() -> None:
    problem = error(send(started(), "session.start", session={"model": "tiny"}))
    assert problem.code == "session_already_started"


def test_store_false_keeps_nothing() -> None:
    (act,) = send(new(), "session.start", session={"model": "m", "store": False}).acts
    assert act == Start(keep=False)


def test_a_close_ends_the_call_and_is_confirmed() -> None:
    session = started()
    assert send(session, "session.close").acts == [Close("close_requested")]
    session.tell(voice(3.2))
    (told,) = session.end("close_requested")
    assert isinstance(told, live.SessionClosed)
    SERVER.validate_python(told.wire())
    assert told.usage.seconds == 3.2
    assert session.end("close_requested") == []


def test_an_end_of_the_servers_own_comes_with_its_sentence() -> None:
    session = started()
    told = session.end("engine: the network gave NaN")
    assert types(told) == ["error", "session.closed"]
    assert isinstance(told[0], live.ErrorEvent)
    assert "NaN" in told[0].error.message


# -- what is wrong is named ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "code", "param"),
    [
        ("no json", "invalid_json", None),
        ("[" * 100_000, "invalid_json", None),
        ("[1]", "invalid_json", None),
        ("{}", "missing_parameter", "type"),
        ('{"type": 5}', "missing_parameter", "type"),
        ('{"type": "session.dance"}', "unknown_event", "type"),
        ('{"type": "decision.create"}', "unsupported_event", "type"),
        ('{"type": "session.start"}', "missing_parameter", "session"),
        ('{"type": "session.start", "session": {"voice": "x"}}', "unknown_parameter",
         "session.voice"),
        ('{"type": "session.start", "session": {"audio": {"format": {"type": "audio/mp3"}}}}',
         "invalid_value", "session.audio.format.type"),
        ('{"type": "session.start", "session": {"audio": {"format": {"rate": 12345}}}}',
         "invalid_value", "session.audio.format.rate"),
        ('{"type": "session.start", "session": {"input": [{"role": "user", "content": []}]}}',
         "invalid_value", "session.input.0.content"),
    ],
)  # fmt: skip
def test_a_bad_message_is_answered_with_its_field(text: str, code: str, param: str | None) -> None:
    problem = error(checked(new().receive(text)))
    assert (problem.code, problem.param) == (code, param)


@pytest.mark.parametrize("audio", ["?", "QQ==", "a" * 5, "äöü"])
def test_sound_that_is_none_is_refused(audio: str) -> None:
    problem = error(send(started(), "session.input_audio.append", audio=audio))
    assert problem.param == "audio"


# -- sound ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("form", "size"),
    [
        ({"type": "audio/pcm", "rate": 24_000}, 2 * 24_000),
        ({"type": "audio/pcm", "rate": 16_000}, 2 * 16_000),
        ({"type": "audio/pcmu", "rate": 8_000}, 8_000),
        ({"type": "audio/pcma", "rate": 8_000}, 8_000),
    ],
)
def test_sound_comes_and_goes_in_the_sessions_format(form: dict[str, Any], size: int) -> None:
    session = started({"audio": {"format": form}})
    sent = base64.b64encode(bytes(size // 10)).decode()
    (act,) = send(session, "session.input_audio.append", audio=sent).acts
    assert isinstance(act, Push)
    assert (act.rate, len(act.samples)) == (form["rate"], form["rate"] // 10)
    bytes_out = 0
    for beat in range(25):
        (told,) = session.tell(voice(0.08 * beat)).told
        assert isinstance(told, live.OutputAudio)
        bytes_out += len(base64.b64decode(told.delta))
    assert bytes_out == pytest.approx(2 * size, abs=size // 100)


def test_a_muted_caller_is_not_heard() -> None:
    session = started()
    assert types(send(session, "session.input_audio.mute").told) == ["session.input_audio.muted"]
    assert send(session, "session.input_audio.append", audio="AAA=").acts == []
    send(session, "session.input_audio.unmute")
    assert len(send(session, "session.input_audio.append", audio="AAA=").acts) == 1


def test_over_a_media_track_no_sound_is_in_messages() -> None:
    session = LiveSession(bundle="tiny", media=True, config=live.SessionConfig())
    session.begin("call_1", 1)
    assert session.tell(voice()).told == []
    assert error(send(session, "session.input_audio.append", audio="")).code == "unsupported_event"


# -- words, usage, keys --------------------------------------------------------------------


def test_words_have_times_and_join_to_a_text() -> None:
    session = started()
    told: list[live.Told] = []
    for text, end in (("a", 1.0), ("large", 1.5), ("latte", 2.0)):
        told += checked(session.tell(CallerWordEvent(time=end + 0.5, text=text, end=end))).told
    said = checked(session.tell(AgentWordEvent(time=2.6, text="okay", start=2.7))).told
    deltas = [message for message in told if isinstance(message, live.Transcript)]
    assert "".join(message.delta for message in deltas) == "a large latte"
    assert [message.end_ms for message in deltas] == [1000, 1500, 2000]
    assert all(message.start_ms < message.end_ms for message in deltas)
    assert isinstance(said[0], live.Transcript)
    assert (said[0].delta, said[0].start_ms) == ("okay", 2700)


def test_usage_is_told_every_ten_seconds() -> None:
    session = started()
    told = [t for beat in range(300) for t in checked(session.tell(voice(0.08 * beat))).told]
    assert types(told).count("session.usage.updated") == 2


def test_a_key_is_pressed_and_told() -> None:
    session = started()
    assert send(session, "transport.dtmf.send", event="5").acts == [Press("5")]
    (told,) = checked(session.tell(Dtmf(time=1.0, digit="5"))).told
    assert isinstance(told, live.DtmfReceived)
    assert error(send(session, "transport.dtmf.send", event="55")).param == "event"


def test_lost_sound_is_told() -> None:
    (told,) = checked(started().tell(Lost(time=1.0, seconds=2.5))).told
    assert isinstance(told, live.Info)
    assert "2.5 s" in told.message


# -- tool calls ----------------------------------------------------------------------------


def test_a_call_is_a_responses_delegation_where_that_was_asked_for() -> None:
    session = started({"delegation": RESPONSES})
    told = checked(session.tell(call())).told
    assert types(told) == ["session.delegation.created"] + ["response.event"] * 6
    created = told[0]
    assert isinstance(created, live.DelegationCreated)
    nested = [t.event for t in told if isinstance(t, live.ResponseEvent)]
    assert {t.delegation_id for t in told if isinstance(t, live.ResponseEvent)} == {
        created.delegation.id
    }
    done = next(event for event in nested if event["type"] == "response.output_item.done")["item"]
    assert (done["name"], done["call_id"], done["status"]) == ("place_order", "c1", "completed")
    assert json.loads(done["arguments"]) == {"items": [{"drink": "latte"}]}
    assert nested[-1]["type"] == "response.completed"


def test_a_response_goes_on_when_all_results_are_there() -> None:
    session = started({"delegation": RESPONSES})
    session.tell(call(1))
    session.tell(call(2))
    assert error(send(session, "response.create")).code == "function_call_outputs_required"
    for number, output in ((1, "done"), (2, {"ok": True})):
        item = {"type": "function_call_output", "call_id": f"c{number}", "output": output}
        (act,) = send(session, "response.item.create", item=item).acts
        assert isinstance(act, Result)
        assert act.call_id == f"c{number}"
    nested = [t.event["type"] for t in send(session, "response.create").told]  # type: ignore
    assert nested == ["response.created", "response.completed"]
    again = {"type": "function_call_output", "call_id": "c1", "output": "x"}
    assert error(send(session, "response.item.create", item=again)).param == "item.call_id"


def test_without_a_backend_the_application_is_told_of_the_call() -> None:
    session = started()
    (told,) = checked(session.tell(call())).told
    assert isinstance(told, live.DelegationCreated)
    assert told.delegation.target == "client"
    assert told.delegation.call is not None
    assert told.delegation.call.name == "place_order"
    identity = told.delegation.id
    reaction = send(session, "session.thinking.append", delegation_id=identity, content="order 17")
    assert types(reaction.told) == ["session.thinking.appended"]
    assert reaction.acts == [Result("c1", "order 17")]
    problem = error(
        send(session, "session.thinking.append", delegation_id="del_other", content="x")
    )
    assert problem.param == "delegation_id"
    assert error(send(session, "response.create")).code == "invalid_delegation_type"


def test_a_kind_of_delegation_is_settled_at_the_start() -> None:
    session = started({"delegation": RESPONSES})
    change = {"delegation": {"type": "responses", "responses": {"tool_choice": "none"}}}
    (told,) = send(session, "session.update", session=change).told
    assert isinstance(told, live.SessionUpdated)
    merged = told.session["delegation"]["responses"]
    assert (merged["tool_choice"], merged["model"], len(merged["tools"])) == ("none", "any", 1)
    problem = error(send(session, "session.update", session={"delegation": {"type": "client"}}))
    assert problem.param == "session.delegation.type"
    problem = error(send(session, "session.update", session={"model": "other"}))
    assert (problem.code, problem.param) == ("unknown_parameter", "session.model")


def test_the_order_is_told_to_who_asked() -> None:
    def order(calls: Sequence[ToolCallEvent]) -> tuple[dict[str, Any], tuple[str, ...]]:
        return {"items": [{"n": len(calls)}]}, ("a latte",) * len(calls)

    assert types(started(order=order).tell(call()).told) == ["session.delegation.created"]
    session = started({"antiphon": {"events": True}}, order=order)
    session.tell(call(1))
    told = session.tell(call(2)).told[-1]
    assert isinstance(told, live.OrderTold)
    assert (told.order, told.items) == ({"items": [{"n": 2}]}, ("a latte", "a latte"))


def test_tone_and_turns_are_told_to_who_asked() -> None:
    tone = ToneEvent(time=1.0, tone="annoyed", probability=0.9)
    turn = Turn(index=0, speaker="agent", text="hi", words=(("hi", 1.0, None),), start=1.0,
                end=2.0, gap_ms=444.0)  # fmt: skip
    assert not started().tell(tone).told
    assert not started().tell(turn).told
    session = started({"antiphon": {"events": True}})
    told = [*session.tell(tone).told, *session.tell(turn).told]
    assert types(told) == ["antiphon.tone", "antiphon.turn"]
    assert json.loads(json.dumps(told[1].wire()))["turn"]["gap_ms"] == 444.0


# -- commentary ----------------------------------------------------------------------------


def test_commentary_is_said_when_the_agent_is_silent() -> None:
    session = started()
    append = {"content": "Say: one moment", "delegation_id": None}
    reaction = send(session, "session.commentary.append", **append, event_id="e9")
    assert reaction.acts == [Say("one moment", "e9")]
    session.tell(AgentWordEvent(time=1.0, text="okay", start=1.1))
    assert send(session, "session.commentary.append", **append).acts == []
    assert send(session, "session.commentary.append", **append).acts == []
    (act,) = session.tell(AgentStopped(time=2.0)).acts
    assert isinstance(act, Say)
    assert act.text == "one moment one moment"


def test_commentary_that_may_be_an_instruction_is_not_read_aloud() -> None:
    reaction = send(
        started(), "session.commentary.append", content="Greet the user.", delegation_id=None
    )
    assert reaction.acts == []
    assert types(reaction.told) == ["session.commentary.appended", "info"]


def test_thinking_is_kept_to_itself() -> None:
    reaction = send(started(), "session.thinking.append", content="hm", delegation_id=None)
    assert reaction.acts == []
    assert types(reaction.told) == ["session.thinking.appended"]


def test_too_much_commentary_is_refused() -> None:
    session = started()
    session.tell(AgentWordEvent(time=1.0, text="okay", start=1.1))
    reactions = [
        send(session, "session.commentary.append", content="say: x", delegation_id=None)
        for _ in range(20)
    ]
    last = reactions[-1].told[-1]
    assert isinstance(last, live.ErrorEvent)
    assert last.error.code == "rate_limit_exceeded"


# -- anything, in any order ----------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)
FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "session": JSON | st.just({"model": "m", "delegation": RESPONSES}),
        "audio": st.text(max_size=8) | st.just("AAA="),
        "content": st.text(max_size=8),
        "delegation_id": st.none() | st.text(max_size=4) | st.just("del_1"),
        "item": JSON | st.just({"type": "function_call_output", "call_id": "c1", "output": 1}),
        "event": st.text(max_size=2),
        "event_id": st.text(max_size=4) | st.integers(),
    },
)
COMMANDS = st.builds(
    lambda name, fields: {"type": name, **fields},
    st.sampled_from([*live.TYPES, *live.UNSUPPORTED, "nonsense"]),
    FIELDS,
)
TIMES = st.integers(0, 10_000).map(lambda time: time / 100)
MESSAGES: st.SearchStrategy[CallMessage] = st.one_of(
    st.builds(voice, TIMES),
    st.builds(CallerWordEvent, time=TIMES, text=st.text(), end=TIMES),
    st.builds(AgentWordEvent, time=TIMES, text=st.text(), start=TIMES),
    st.builds(call, st.integers(1, 3)),
    st.builds(AgentStopped, time=TIMES),
    st.builds(Closed, time=TIMES, reason=st.text()),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(COMMANDS | MESSAGES | st.binary(max_size=20) | JSON, max_size=25))
def test_nothing_that_comes_breaks_a_session(steps: list[Any]) -> None:
    session = new()
    begun = over = False
    for step in steps:
        if isinstance(step, dict | list | str | int | None):
            reaction = checked(session.receive(json.dumps(step)))
        elif isinstance(step, bytes):
            reaction = checked(session.receive(step))
        else:
            reaction = checked(session.tell(step))
        for act in reaction.acts:
            if isinstance(act, Start):
                assert not begun
                begun = True
                checked(Reaction(session.begin("call_1", 1)))
            elif isinstance(act, Close):
                over = True
                checked(Reaction(session.end(act.reason)))
            else:
                assert begun
                assert not over
