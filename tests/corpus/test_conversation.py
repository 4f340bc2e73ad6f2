from __future__ import annotations

from antiphon.corpus.conversation import Conversation, Word, turns_of


def test_turns_part_where_a_speaker_is_silent_for_long() -> None:
    times = [("a", 0.0, 0.3), ("b", 0.5, 0.9), ("c", 2.0, 2.5)]
    words = [Word(text=t, start=a, end=b, speaker="caller") for t, a, b in times]
    words.append(Word(text="mm", start=0.4, end=0.6, speaker="agent"))
    turns = turns_of(words)
    assert [(t.speaker, t.start, t.end, t.data["text"]) for t in turns] == [
        ("caller", 0.0, 0.9, "a b"),
        ("agent", 0.4, 0.6, "mm"),
        ("caller", 2.0, 2.5, "c"),
    ]


def test_turns_are_of_one_side_or_of_both(conversation: Conversation) -> None:
    assert [turn.speaker for turn in conversation.turns()] == ["caller", "agent"]
    assert [turn.speaker for turn in conversation.turns("agent")] == ["agent"]
