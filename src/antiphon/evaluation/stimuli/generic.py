"""What people say on any telephone line, read from `generic.yaml`, and how it is drawn."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict

from antiphon.corpus import grammar
from antiphon.corpus.grammar import Choice, Node, SlotRef

Templates = tuple[str, ...]


class Generic(BaseModel):
    """Templates by what they are for; the file says what each is."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    backchannels: Templates
    side_talk: Templates
    story_opens: Templates
    story: Templates
    story_closes: Templates
    repairs: Templates
    out_of_domain: Templates
    unsafe: Mapping[str, Templates]
    safe_lookalike: Templates


@lru_cache(maxsize=1)
def generic() -> Generic:
    """The package's own file, read once."""
    text = Path(__file__).with_name("generic.yaml").read_text(encoding="utf-8")
    content: Any = yaml.safe_load(text)
    return Generic.model_validate(content)


def fill(template: str, rng: random.Random, **words: Sequence[str]) -> str:
    """One sentence of a template; `words` are the tokens that stand for its {names}."""
    return grammar.join(_tokens(_parsed(template), rng, words))


@lru_cache(maxsize=1024)
def _parsed(template: str) -> Node:
    return grammar.parse(template)


def _tokens(node: Node, rng: random.Random, words: Mapping[str, Sequence[str]]) -> list[str]:
    match node:
        case SlotRef(name, _):
            return list(words[name])
        case Choice(options, weights):
            return _tokens(rng.choices(options, weights)[0], rng, words)
        case grammar.Sequence_(parts):
            return [token for part in parts for token in _tokens(part, rng, words)]
        case grammar.Maybe(inner, _):
            return _tokens(inner, rng, words) if rng.random() < 0.5 else []
        case _:
            return grammar.render(node, {}, {}, None) or []
