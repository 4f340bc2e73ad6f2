from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.errors import CorpusError
from antiphon.evaluation.human import Answer, Key, Pair, Results, read_key, read_results, score
from antiphon.evaluation.human.score import alpha, guessed

KEY = Key(
    page="p",
    systems=("cafe", "cascade"),
    seed=0,
    questions=("better?",),
    pairs=(
        Pair(token="p01", stimulus="x", a=0),
        Pair(token="p02", stimulus="y", a=1),
        Pair(token="p03", stimulus="z", a=0),
        Pair(token="p04", stimulus="x", a=1, repeats="p01"),
    ),
)


def results(listener: str, *choices: str, page: str = "p") -> Results:
    answers = [
        Answer(pair=f"p{at:02d}", question=0, choice=choice)  # pyright: ignore
        for at, choice in enumerate(choices, 1)
        if choice
    ]
    return Results(
        format="antiphon-listening-1", page=page, listener=listener, answers=tuple(answers)
    )


def test_sides_are_undone_and_repeats_count_for_consistency_alone() -> None:
    found = score(KEY, [results("anna", "a", "b", "same", "b")])
    (one,) = found.questions
    assert (one.first, one.second, one.same) == (2, 0, 1)
    assert (one.preference.hits, one.preference.n) == (2, 2)
    assert (one.consistency.hits, one.consistency.n) == (1, 1)
    assert one.agreement.n == 0
    assert one.alpha is None
    assert (found.listeners, found.pairs) == (1, 3)


def test_listeners_who_agree_and_who_do_not() -> None:
    alike = score(KEY, [results("anna", "a", "a"), results("ben", "a", "a")]).questions[0]
    assert (alike.agreement.share, alike.alpha) == (1.0, 1.0)
    apart = score(KEY, [results("anna", "a", "a"), results("ben", "b", "b")]).questions[0]
    assert apart.agreement.share == 0.0
    assert apart.alpha is not None
    assert apart.alpha < 0


def test_the_later_file_of_a_listener_counts() -> None:
    found = score(KEY, [results("anna", "a"), results("anna", "b", "a")])
    assert found.listeners == 1
    assert (found.questions[0].first, found.questions[0].second) == (0, 2)


def test_what_does_not_belong_together_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="of page q"):
        score(KEY, [results("anna", "a", page="q")])
    with pytest.raises(CorpusError, match="answered anything"):
        score(KEY, [results("anna")])
    (tmp_path / "key.json").write_text("{}")
    with pytest.raises(CorpusError, match="no key of a listening page"):
        read_key(tmp_path)
    with pytest.raises(CorpusError, match="cannot be read"):
        read_results(tmp_path / "none.json")


def test_alpha_is_that_of_the_literature() -> None:
    # Krippendorff 2011, section B: two observers, ten items, coincidences 10, 4, 4, 2.
    first = "0100000000"
    second = "1110010100"
    assert alpha([list(unit) for unit in zip(first, second, strict=True)]) == pytest.approx(
        0.095, abs=5e-4
    )
    assert alpha([["a", "a"], ["a", "a"]]) is None
    assert alpha([["a"], ["b"]]) is None


def test_guessing_alone() -> None:
    assert guessed(5, 10) == 1.0
    assert guessed(0, 5) == pytest.approx(2 / 32)
    assert guessed(0, 0) == 1.0


@given(st.integers(0, 40), st.integers(0, 40))
def test_guessing_is_a_probability_and_knows_no_side(hits: int, misses: int) -> None:
    p = guessed(hits, hits + misses)
    assert 0 < p <= 1
    assert p == guessed(misses, hits + misses)
