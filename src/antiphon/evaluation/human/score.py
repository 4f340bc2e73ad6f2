"""What listeners' answers say: whom they prefer, how surely, and how far they agree."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import combinations
from math import comb
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from antiphon.errors import CorpusError
from antiphon.evaluation.human.model import Key, Pair, Results
from antiphon.evaluation.statistics import Share, share

Choice = Literal["first", "second", "same"]
"""Which of the key's systems was preferred."""
_Model = TypeVar("_Model", bound=BaseModel)


class Preference(BaseModel):
    """One question's answers."""

    model_config = ConfigDict(frozen=True)

    question: str
    first: int
    """Answers that prefer the key's first system; likewise `second`, and `same` for neither."""
    second: int
    same: int
    preference: Share
    """For the first system, of the answers that prefer one, with Wilson's interval."""
    chance: float
    """Two-sided exact binomial: how often pure guessing gives a split as uneven as this."""
    agreement: Share
    """Of all pairs of listeners on a pair of calls, those that answered alike."""
    alpha: float | None
    """Krippendorff's alpha, nominal: 1 full agreement, 0 what chance gives; None for one listener,
    and where all answers are the same."""
    consistency: Share
    """Of the pairs that were asked twice with the sides changed, those answered alike."""


class Score(BaseModel):
    """A listening test."""

    model_config = ConfigDict(frozen=True)

    systems: tuple[str, str]
    listeners: int
    pairs: int
    questions: tuple[Preference, ...]


def read_key(path: Path) -> Key:
    """The key of a page: its file, or the page's folder. Raises CorpusError."""
    if path.is_dir():
        path = path / "key.json"
    return _read(path, Key, "no key of a listening page (key.json beside the page)")


def read_results(path: Path) -> Results:
    """What a listener sent. Raises CorpusError."""
    return _read(path, Results, "no results of a listening page")


def score(key: Key, results: Sequence[Results]) -> Score:
    """The figures of all listeners; of two files of one listener the later one counts.

    Raises CorpusError for results of another page, and where nobody answered anything.
    """
    pairs = {pair.token: pair for pair in key.pairs}
    by_listener: dict[str, Results] = {}
    for one in results:
        if one.page != key.page:
            raise CorpusError(
                f"the results of {one.listener or 'a listener'} are of page {one.page}, "
                f"the key is of page {key.page}; score each page with its own key"
            )
        by_listener[one.listener] = one
    if not any(one.answers for one in by_listener.values()):
        raise CorpusError("no listener has answered anything yet")
    return Score(
        systems=key.systems,
        listeners=len(by_listener),
        pairs=sum(not pair.repeats for pair in key.pairs),
        questions=tuple(
            _preference(text, number, pairs, list(by_listener.values()))
            for number, text in enumerate(key.questions)
        ),
    )


def alpha(units: Iterable[Sequence[str]]) -> float | None:
    """Krippendorff's alpha for nominal data: `units` are the answers to each item.

    Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability", section C. Items with fewer
    than two answers say nothing. None where nothing can differ.
    """
    pairable = [Counter(unit) for unit in units if len(unit) > 1]
    totals = sum(pairable, Counter[str]())
    n = sum(totals.values())
    if len(totals) < 2:
        return None
    observed = sum(
        sum(c * (unit.total() - c) for c in unit.values()) / (unit.total() - 1) for unit in pairable
    )
    expected = sum(c * (n - c) for c in totals.values()) / (n - 1)
    return 1 - observed / expected


def guessed(hits: int, n: int) -> float:
    """Two-sided exact binomial probability, at one half, of a split at least as uneven."""
    tail = sum(comb(n, k) for k in range(min(hits, n - hits) + 1))
    return min(1.0, 2 * tail / 2**n)


def _preference(
    text: str, number: int, pairs: dict[str, Pair], results: Sequence[Results]
) -> Preference:
    first_time: dict[str, list[Choice]] = defaultdict(list)
    same_again: list[bool] = []
    for one in results:
        own: dict[str, Choice] = {
            a.pair: _choice(a.choice, pairs[a.pair])
            for a in one.answers
            if a.question == number and a.pair in pairs
        }
        for token, choice in own.items():
            asked = pairs[token].repeats
            if not asked:
                first_time[token].append(choice)
            elif asked in own:
                same_again.append(own[asked] == choice)
    counts = Counter(choice for unit in first_time.values() for choice in unit)
    decided = counts["first"] + counts["second"]
    alike = [a == b for unit in first_time.values() for a, b in combinations(unit, 2)]
    return Preference(
        question=text,
        first=counts["first"],
        second=counts["second"],
        same=counts["same"],
        preference=share(counts["first"], decided),
        chance=guessed(counts["first"], decided),
        agreement=share(sum(alike), len(alike)),
        alpha=alpha(first_time.values()),
        consistency=share(sum(same_again), len(same_again)),
    )


def _choice(choice: Literal["a", "b", "same"], pair: Pair) -> Choice:
    if choice == "same":
        return "same"
    return "first" if (pair.a == 0) == (choice == "a") else "second"


def _read(path: Path, model: type[_Model], what: str) -> _Model:
    try:
        return model.model_validate_json(path.read_bytes())
    except OSError as error:
        raise CorpusError(f"{path}: cannot be read ({error.strerror or error})") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "JSON"
        raise CorpusError(f"{path}: is {what} ({where}: {first['msg']})") from error
