"""What an exchange was worth: plain rules over the streams that the agent produced.

Knows nothing of networks. Each term lies between -1 and 1 and says up to which frame the agent's
decisions can have moved it: what came later neither earns it nor pays for it.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple, cast

from antiphon.corpus import grammar
from antiphon.corpus.calls import Call, CallVocabulary, slot_values
from antiphon.corpus.edits import distance
from antiphon.corpus.knowledge import Knowledge
from antiphon.corpus.scenario import Scenario
from antiphon.corpus.tokenizer import Tokenizer, normalise
from antiphon.errors import ScenarioError
from antiphon.model.config import END, PAD
from antiphon.training.streams import SECONDS, Timing
from antiphon.training.tune_config import RewardConfig
from antiphon.training.tune_scenes import Scene

TERMS = ("calls", "gap", "agree", "stop", "tone", "grounded")
_WAYS = 8  # drawings of a reply, for each tone, with which the agent's own is compared
_ALIKE = 0.5  # share of a reply's characters that may differ
_WHOLE = 0.8  # share of a sentence's characters after which it was not stopped


class Term(NamedTuple):
    """How good, and the last frame whose decisions count for it."""

    value: float
    until: int


@dataclass(frozen=True)
class Run:
    """Pieces up to an END: frames of the first and of the END (the stream's length: none)."""

    start: int
    end: int
    text: str


@dataclass(frozen=True)
class Judged:
    """Terms that apply, and the figures of the report."""

    terms: dict[str, Term]
    gap: float | None  # s from the caller's end to the first word's sound; None: no answer
    stop: float | None  # s from the caller's onset to the agent's silence; None: not asked for
    risky: bool  # it said or called what nobody named, or acted where nothing was asked for

    def total(self, weights: RewardConfig) -> float:
        """The weighted sum."""
        return sum(getattr(weights, name) * term.value for name, term in self.terms.items())


class Judge:
    """The rules of one scenario.

    murmurs: what agents say without taking the turn (tune_scenes.backchannels).
    """

    def __init__(
        self,
        scenario: Scenario,
        tokenizer: Tokenizer,
        calls: CallVocabulary,
        timing: Timing,
        weights: RewardConfig,
        murmurs: frozenset[str],
    ) -> None:
        self.scenario, self.tokenizer, self.calls = scenario, tokenizer, calls
        self.timing, self.weights, self.murmurs = timing, weights, murmurs
        self.knowledge = Knowledge(scenario)
        self.named = lru_cache(maxsize=4096)(self._named)
        self.replies = lru_cache(maxsize=4096)(self._replies)

    def judge(self, scene: Scene, text: Sequence[int], call: Sequence[int]) -> Judged:
        """text, call: the agent's streams from the scene's start, [frames] each."""
        said, frames = self.runs(text), len(text)
        standing = next((r for r in said if r.start < scene.prefix <= r.end), None)
        own = [r for r in said if r.start >= scene.prefix and r.text not in self.murmurs]
        made = [m for m in self.made(call) if m[1] >= scene.prefix]
        calls = [c for c, _, _ in made]
        right = [_plain(c) for c in calls] == [_plain(c) for c in scene.calls]
        settled = made[-1][2] if made and len(made) >= len(scene.calls) else frames - 1
        terms = {"calls": Term(float(right), settled)}
        answer = own[0] if own else None
        gap = stop = None
        if scene.kind != "hold":
            if answer is not None:
                gap = (answer.start + 1 + self.timing.opening) * SECONDS - scene.ends
            wanted = scene.answer is not None
            terms["gap"] = Term(self._gap(gap, wanted), answer.start if answer else frames - 1)
        if scene.kind == "break" and standing is not None:
            stop = (standing.end + 1) * SECONDS - scene.onset
            low, high = self.weights.full_stop, self.weights.no_stop
            terms["stop"] = Term(_falling(stop, low, high), min(standing.end, frames - 1))
        if scene.kind == "hold":
            whole = self._held(scene, standing)
            terms["stop"] = Term(float(whole and not own), frames - 1)
        reply = answer.text if answer else ""
        over = min(answer.end, frames - 1) if answer else frames - 1
        terms |= self._words(scene, calls, reply, max(over, settled if made else 0))
        risky = self._risky(scene, calls, " . ".join(r.text for r in own))
        terms["grounded"] = Term(float(not risky), frames - 1)
        return Judged(terms, gap, stop, risky)

    def rows(
        self,
        scenes: Sequence[Scene],
        text: Sequence[Sequence[int]],
        call: Sequence[Sequence[int]],
        group: int = 1,
    ) -> list[Judged]:
        """Every row of a rollout, `group` of them for each scene; padded rows are cut."""
        each = [scene for scene in scenes for _ in range(group)]
        return [
            self.judge(scene, said[: scene.frames], made[: scene.frames])
            for scene, said, made in zip(each, text, call, strict=True)
        ]

    def _gap(self, gap: float | None, wanted: bool) -> float:
        if not wanted:
            return 1.0 if gap is None else -1.0
        if gap is None or gap < 0:
            return -1.0
        return _falling(gap, self.weights.full_gap, self.weights.no_gap)

    def _held(self, scene: Scene, standing: Run | None) -> bool:
        """Whether the sentence that stood when the caller murmured was said to its end."""
        if scene.answer is None or standing is None:
            return False
        meant = normalise(str(scene.answer.data.get("text", "")))
        return len(standing.text) >= _WHOLE * len(meant)

    def _words(self, scene: Scene, calls: list[Call], reply: str, over: int) -> dict[str, Term]:
        """Text against calls and against the caller's tone, where the corpus's reply tells both."""
        terms: dict[str, Term] = {}
        if scene.asked is None or scene.answer is None or not scene.calls:
            return terms
        usual = str(scene.answer.data.get("text", ""))
        if all(self.scenario.reply_agrees(call, usual) for call in scene.calls):
            agrees = bool(calls) and all(self.scenario.reply_agrees(c, reply) for c in calls)
            terms["agree"] = Term(float(agrees), over)
        intent = str(scene.asked.data.get("intent", ""))
        ways = self.replies(intent, scene.calls[0].model_dump_json())
        tone = scene.tone if scene.tone in ways else "neutral"
        if len(ways) > 1 and nearest(normalise(usual), ways) == tone:
            terms["tone"] = Term(float(nearest(normalise(reply), ways) == tone), over)
        return terms

    def _replies(self, intent: str, call: str) -> dict[str, frozenset[str]]:
        """What may be said to this call's caller, by tone; none where tones are answered alike."""
        spec = self.scenario.intents.get(intent)
        if spec is None or len(spec.reply) < 2:
            return {}
        arguments = Call.model_validate_json(call).arguments
        lists: list[Any] = [v for v in arguments.values() if isinstance(v, list)]
        items = cast("list[dict[str, str]]", lists[0] if lists else [])
        slots = {k: str(v) for k, v in arguments.items() if not isinstance(v, list)}
        rng = random.Random(call)
        try:
            return {
                tone: frozenset(
                    normalise(
                        self.scenario.reply(intent, slots, items, items or [slots], rng, tone) or ""
                    )
                    for _ in range(_WAYS)
                )
                for tone in spec.reply
            }
        except ScenarioError:  # needs what the call does not tell
            return {}

    def _risky(self, scene: Scene, calls: list[Call], text: str) -> bool:
        if calls and not scene.calls:
            return True
        claimed = {(n, v) for call in calls for n, v in slot_values(call.arguments)}
        claimed |= {
            (n, v) for item in self.scenario.parse_reply_slots(text) for n, v in item.items()
        }
        if not claimed:
            return False
        return not claimed <= self._supported(scene)

    def _supported(self, scene: Scene) -> set[tuple[str, str]]:
        """What may be claimed: said by the caller up to here, or by the corpus's own agent."""
        heard: list[str] = []
        found: set[tuple[str, str]] = set()
        over = (scene.asked or scene.answer or scene.item.events[0]).end
        for event in scene.item.events:
            if event.kind == "call" and event.start <= over + 0.02:
                found |= set(slot_values(event.data["arguments"]))
            if event.kind != "turn" or (event.start > over and event is not scene.answer):
                continue
            said = str(event.data.get("text", ""))
            if event.speaker == "caller":
                heard.append(said)
            else:
                items = self.scenario.parse_reply_slots(said)
                found |= {(n, v) for item in items for n, v in item.items()}
        return found | self.named(" ".join(heard))

    def _named(self, heard: str) -> frozenset[tuple[str, str]]:
        plain = grammar.plain(heard)
        return frozenset(
            (slot, value)
            for slot in self.scenario.slots
            for value in self.knowledge.named(slot, plain)
        )

    def runs(self, text: Sequence[int]) -> list[Run]:
        """The agent's turns in a stream of text."""
        found: list[Run] = []
        start, ids = -1, list[int]()
        for t, piece in enumerate([*text, END]):
            if piece == PAD:
                continue
            if piece == END:
                if start >= 0:
                    found.append(Run(start, t, normalise(self.tokenizer.text(ids))))
                start, ids = -1, []
                continue
            start = t if start < 0 else start
            ids.append(int(piece))
        return found

    def made(self, call: Sequence[int]) -> list[tuple[Call, int, int]]:
        """Finished calls in a stream of call tokens, with the frames of their first and last."""
        decoder, found, begun = self.calls.decoder(), list[tuple[Call, int, int]](), 0
        for t, token in enumerate(call):
            if not decoder.mask()[token]:  # a past that was cut inside a call
                decoder.reset()
                if not decoder.mask()[token]:
                    continue
            begun = begun if decoder.open else t
            finished = decoder.push(int(token))
            if finished is not None:
                found.append((finished, begun, t))
        return found


def nearest(said: str, ways: dict[str, frozenset[str]]) -> str:
    """The tone whose replies are most like what was said; "" where none is, or two are."""
    far = {
        tone: min((distance(said, way) / max(len(way), 1) for way in texts), default=1.0)
        for tone, texts in ways.items()
    }
    least = min(far.values(), default=1.0)
    near = [tone for tone, by in far.items() if by == least]
    return near[0] if len(near) == 1 and least <= _ALIKE else ""


def _falling(seconds: float, full: float, none: float) -> float:
    """1 up to `full`, then down to 0 at `none`."""
    return min(1.0, max(0.0, (none - seconds) / (none - full)))


def _plain(call: Call) -> tuple[str, dict[str, Any]]:
    return call.name, call.arguments
