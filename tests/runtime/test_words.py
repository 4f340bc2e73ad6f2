from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from antiphon.errors import AntiphonError, BundleError
from antiphon.runtime.words import Pieces, WordStream, speakable, spell


@pytest.fixture
def pieces(tiny_bundle: Path) -> Pieces:
    return Pieces(tiny_bundle / "tokenizer.model")


def stream(pieces: Pieces, ids: list[int]) -> tuple[list[tuple[str, int]], str]:
    words = WordStream(pieces)
    found = [words.push(token) for token in ids]
    return [(word.text, word.frame) for word in [*found, words.finish()] if word], words.text


def test_words_come_back_with_their_first_frame(pieces: Pieces) -> None:
    hello, there = pieces.words("hello latte")
    ids = [0, *hello, 0, *there, 1, 0]
    found, text = stream(pieces, ids)
    assert text == "hello latte"
    assert found == [("hello", 1), ("latte", 2 + len(hello))]


def test_a_word_is_told_after_three_silent_frames(pieces: Pieces) -> None:
    words = WordStream(pieces)
    for token in pieces.words("hello")[0]:
        assert words.push(token) is None
    assert [words.push(0) for _ in range(3)][-1] is not None
    assert words.finish() is None


def test_a_word_never_seen_is_spelt_by_pieces(pieces: Pieces) -> None:
    ids = pieces.words("zebra")[0]
    assert len(ids) > 1
    assert stream(pieces, ids)[0][0][0] == "zebra"


def test_ids_beyond_the_vocabulary_are_silent(pieces: Pieces) -> None:
    assert pieces.text(10_000) == ""
    assert pieces.text(-1) == ""


def test_nothing_sayable_is_one_sentence(pieces: Pieces) -> None:
    for text in ("", "  ...  ", "'", "\u4f60\u597d"):
        with pytest.raises(AntiphonError, match="nothing to say"):
            pieces.words(text)


def test_text_is_brought_to_the_taught_form() -> None:
    assert speakable("That\u2019s 4 Caf\u00e9s, please!") == ["that's", "four", "cafes", "please"]


@pytest.mark.parametrize(
    ("digits", "words"),
    [
        ("0", "zero"),
        ("13", "thirteen"),
        ("20", "twenty"),
        ("42", "forty two"),
        ("100", "one hundred"),
        ("815", "eight hundred fifteen"),
        ("007", "zero zero seven"),
        ("1234", "one two three four"),
    ],
)
def test_numbers_are_spelt(digits: str, words: str) -> None:
    assert spell(digits) == words


@settings(deadline=None)
@given(st.text(max_size=60))
def test_any_text_becomes_plain_words(text: str) -> None:
    for word in speakable(text):
        assert set(word) <= set("abcdefghijklmnopqrstuvwxyz'")


def test_a_file_that_is_no_tokenizer(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.model").write_text("hello")
    with pytest.raises(BundleError, match="SentencePiece"):
        Pieces(tmp_path / "tokenizer.model")
