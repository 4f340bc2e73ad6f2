"""A listening test as data: the key that stays with whoever asks, and what a listener sends."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class Pair(_Frozen):
    """Two calls of one stimulus."""

    token: str
    """How the page and the results call it; it tells nothing of the systems."""
    stimulus: str
    a: Literal[0, 1]
    """Which of the key's systems is heard as A."""
    repeats: str = ""
    """The token of the pair that this one asks again, sides changed."""


class Key(_Frozen):
    """Who is who on a page. Listeners must not see it."""

    format: Literal["antiphon-listening-key-1"] = "antiphon-listening-key-1"
    page: str
    """The page's id; results name it."""
    systems: tuple[str, str]
    seed: int
    questions: tuple[str, ...]
    pairs: tuple[Pair, ...]


class Answer(_Frozen):
    """One question to one pair."""

    pair: str
    question: int
    choice: Literal["a", "b", "same"]


class Results(_Frozen):
    """What the page gives a listener to send back."""

    format: Literal["antiphon-listening-1"]
    page: str
    listener: str
    answers: tuple[Answer, ...]
