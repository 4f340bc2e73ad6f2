from __future__ import annotations

import numpy as np

from antiphon.corpus.conversation import Event
from antiphon.corpus.delivery import OWN, Delivery
from antiphon.training.streams import (
    BACKCHANNELLING,
    SPEAKING,
    YIELDING,
    Streams,
    Timing,
    align,
    spell,
)
from tests.training.made import calls, conversation, tokenizer

TOKENS = tokenizer()


def streams(timing: Timing | None = None) -> Streams:
    made = conversation()
    return align(50, made.words, made.events, TOKENS, calls(), timing or Timing())


def test_text_leads_its_audio_and_opens_one_step_before_the_turn() -> None:
    got = streams().text
    # The reply begins in frame 25; step 24 decides that frame, step 23 says its first piece.
    assert int(np.flatnonzero(got)[0]) == 23
    assert TOKENS.text(got.tolist()) == "okay a large latte"


def test_a_longer_lead_brings_later_words_forward_but_never_before_the_opening() -> None:
    short, long = streams(Timing(lead=1)).text, streams(Timing(lead=6)).text
    assert np.flatnonzero(long)[0] == np.flatnonzero(short)[0]
    assert np.flatnonzero(long).sum() < np.flatnonzero(short).sum()
    assert TOKENS.text(long.tolist()) == TOKENS.text(short.tolist())


def test_the_turn_ends_with_an_end_piece() -> None:
    got = streams().text
    assert int(got[np.flatnonzero(got)[-1]]) == 1


def test_the_callers_words_come_after_they_were_said() -> None:
    got = streams().caller_text
    assert TOKENS.text(got.tolist()) == "a large latte"
    first_word_ends = int(0.834 / 0.08)
    assert int(np.flatnonzero(got)[0]) == first_word_ends + Timing().lag


def test_the_call_stands_at_the_opening_one_token_a_frame() -> None:
    vocabulary = calls()
    got = streams().call
    tokens = vocabulary.encode(vocabulary.decode(got[got != 0].tolist()))
    assert got[23 : 23 + len(tokens)].tolist() == tokens


def test_light_streams_follow_the_turns() -> None:
    got = streams()
    assert np.flatnonzero(got.turn == SPEAKING).tolist() == list(range(24, 40))
    assert got.voice[7] == 1
    assert got.voice[2] == 0
    assert got.tone[10] == 0
    assert got.tone[30] == -1


def test_streams_of_a_cut_recording_stay_inside_it() -> None:
    made = conversation()
    got = align(26, made.words, made.events, TOKENS, calls(), Timing())
    assert got.frames == 26


def test_spelling_keeps_letters_spaces_and_apostrophes_only() -> None:
    assert spell("i'd 2") == spell("i'd ")


def broken(words: int = 2, at: float = 2.24) -> Streams:
    """The reply is broken into `at` s and stops at 2.48 s, after two of its four words."""
    made = conversation()
    turn = made.events[-1]
    said = [w for w in made.words if w.speaker == "agent"]
    unsaid = [[w.text, w.start, w.end] for w in said[words:]]
    cut = turn.model_copy(
        update={"end": 2.48, "data": {**turn.data, "unsaid": unsaid, "broken_at": at}}
    )
    kept = tuple(w for w in made.words if w not in said[words:])
    return align(50, kept, (*made.events[:-1], cut), TOKENS, calls(), Timing())


def test_a_broken_turn_ends_where_it_was_broken_off_and_not_before_anyone_could_know() -> None:
    text = broken().text
    ends = int(np.flatnonzero(text)[-1])
    assert text[ends] == 1
    assert ends >= int(2.48 / 0.08)
    # "large" (from 2.6 s) had been meant before the caller's first sound; "latte" had not.
    assert TOKENS.text(text.tolist()) == "okay a large"


def test_what_is_said_long_after_the_caller_broke_in_is_marked_as_late() -> None:
    assert not broken().late.any()  # .24 s is how people stop
    late = broken(at=2.0)
    assert np.flatnonzero(late.late).tolist() == list(range(int(2.0 / 0.08), int(2.48 / 0.08)))
    ends = int(np.flatnonzero(late.text)[-1])
    assert late.text[ends] == 1
    assert not late.late[ends]  # that it ends at last is learned


def test_an_opening_of_zero_sounds_with_its_first_piece() -> None:
    usual, soon = streams(), streams(Timing(opening=0))
    first = [int(np.flatnonzero(s.text)[0]) for s in (usual, soon)]
    assert first[1] == first[0] + 1
    assert soon.turn[first[1]] == SPEAKING
    assert not soon.turn[: first[1]].any()
    assert int(np.flatnonzero(soon.call)[0]) == first[1]


def test_nobody_told_the_tone_of_a_recording() -> None:
    made = conversation()
    events = [
        event.model_copy(update={"data": {**event.data, "voice": "recorded"}})
        if event.speaker == "caller"
        else event
        for event in made.events
    ]
    heard = align(50, made.words, events, TOKENS, calls(), Timing())
    assert (streams().tone >= 0).any()
    assert (heard.tone == -1).all()
    assert np.array_equal(heard.caller_text, streams().caller_text)


def test_while_it_is_broken_into_the_agent_yields() -> None:
    turn = broken().turn
    assert set(turn[int(2.0 / 0.08) : int(2.24 / 0.08)].tolist()) == {SPEAKING}
    assert set(turn[int(2.24 / 0.08) : int(2.48 / 0.08)].tolist()) == {YIELDING}
    assert not turn[int(2.48 / 0.08) + 1 :].any()


def test_a_backchannel_of_the_agents_has_words_and_a_state_of_its_own() -> None:
    made = conversation()
    heard = Event(kind="backchannel", speaker="agent", start=0.9, end=1.2, data={"text": "okay"})
    words = (*made.words, made.words[3].model_copy(update={"start": 0.9, "end": 1.2}))
    got = align(50, words, (heard, *made.events), TOKENS, calls(), Timing())
    frames = np.flatnonzero(got.turn == BACKCHANNELLING)
    assert frames[0] == int(0.9 / 0.08) - 1
    assert TOKENS.text(got.text[: int(1.5 / 0.08)].tolist()) == "okay"
    assert (got.tone[int(0.6 / 0.08) : int(1.4 / 0.08)] == 0).all()


def test_how_the_agent_speaks_is_read_from_its_first_turn() -> None:
    made = conversation()
    assert streams().delivery == OWN
    told = {"style": "warm", "speed": 1.09, "directed": True}
    events = [
        event.model_copy(update={"data": {**event.data, **told}})
        if event.speaker == "agent" and event.kind == "turn"
        else event
        for event in made.events
    ]
    got = align(50, made.words, events, TOKENS, calls(), Timing())
    assert got.delivery == Delivery("warm", 1.09)
    assert got.directed
