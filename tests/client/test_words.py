from __future__ import annotations

from antiphon.client.events import AgentWords, CallerWords
from antiphon.client.words import Words, texts


def test_pieces_become_words_with_the_time_of_their_first() -> None:
    words = Words()
    assert words.feed(" pret", 1.0) == []
    assert words.feed("ty pol", 2.0) == [("pretty", 1.0)]
    assert words.feed("ly . ", 3.0) == [("polly", 2.0)]
    assert words.feed("  ", 4.0) == []
    assert words.flush() == []


def test_a_text_is_its_final_form_or_else_its_pieces() -> None:
    def said(text: str, item: str, final: bool = False) -> AgentWords:
        return AgentWords(time=0.0, text=text, item=item, final=final)

    events = [
        said("a ", "1"),
        said("lat", "1"),
        CallerWords(time=0.0, text="hi", item="c", final=True),
        said("oh", "2"),
        said(" no", "2"),
        said("a latte", "1", final=True),
        said(" ", "3"),
    ]
    assert texts(events, AgentWords) == {"1": "a latte", "2": "oh no"}
    assert texts(events, CallerWords) == {"c": "hi"}
