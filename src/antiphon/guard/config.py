"""The `guard:` section of a scenario: what is checked, what is said instead, when to give up.

In: the section as the scenario file holds it; a scenario without one gets the defaults. Out: a
frozen `GuardConfig`. A mistake is one sentence that names the key. Times are milliseconds where a
name ends in `_ms`, else seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from antiphon.corpus import grammar
from antiphon.corpus.delivery import STYLES
from antiphon.corpus.grammar import Node
from antiphon.corpus.scenario import Scenario
from antiphon.errors import ScenarioError
from antiphon.guard.calibration import Calibrator

CheckName = Literal[
    "claims",
    "script",
    "calls",
    "heard",
    "reading",
    "forbidden",
    "personal",
    "unsafe",
    "language",
    "speech",
    "audio",
]
CHECK_NAMES: tuple[CheckName, ...] = get_args(CheckName)
Level = Literal["end_to_end", "guarded", "cascade", "handover"]
LEVELS: tuple[Level, ...] = get_args(Level)

AGAIN = "sorry, could you say that again?"  # where the scenario has nothing to say instead
_REFUSES = ("unsafe", "out_of_domain")  # intents whose replies are a refusal, the first that exists

Share = Annotated[float, Field(ge=0, le=1)]
Words = tuple[str, ...]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ClaimRules(_Part):
    """What may support a claim."""

    support: tuple[Literal["caller", "calls", "results"], ...] = ("caller", "calls", "results")
    """caller: the words that were heard. calls: an argument of a call that passed its check, where
    the caller's words hold at least what tells it from its neighbours. results: what tools gave."""
    agree: bool = True
    """Whether items read back must be those of the call that the same turn made."""


class Confirm(_Part):
    """A tool that wants a yes: its call is kept until the caller has given it."""

    ask: str
    """What is asked, such as "shall i place the order?"."""
    yes: Words = (
        *("yes", "yeah", "yep", "sure", "okay", "please", "correct", "right", "exactly"),
        *("confirm", "confirmed", "do it", "go ahead", "that's right", "sounds good"),
    )
    no: Words = ("no", "nope", "don't", "do not", "wait", "cancel", "wrong", "not")


class CallRules(_Part):
    """What a call must satisfy beside its JSON schema."""

    unsaid: Literal["block", "flag", "pass"] = "block"
    """What happens to a call with a value that the caller did not say."""
    confirm: Mapping[str, Confirm] = {}
    after: Mapping[str, Words] = {}
    """tool -> tools of which one must have been called before."""
    never: Words = ()
    """Tools that may not be called on this line."""
    most: Mapping[str, Annotated[int, Field(ge=0)]] = {}
    """tool -> how often in one call at most."""


class HeardRules(_Part):
    """What the ears must have spelt of a call, where the bundle tells what they spell."""

    most: Share = 0.45
    """Mean misfit of a call's words to what was spelt, over which it was not heard; nor was it
    where not even one word comes as near as `near`. None of 119 orders of real people is over
    either; of their words beside 150 recordings of something else, 96 in a hundred are over the
    second and all are over the first (benchmarks/ears.py)."""
    least: int = Field(default=4, ge=1)
    """Letters of a word that count; shorter ones fit anything."""
    near: Share = 0.34
    """Misfit up to which a value counts as said, though it was not written down."""


class ReadingRules(_Part):
    """What the caller's words read as by the scenario, beside what the network makes of them."""

    unanswered: float = Field(default=1.6, ge=0)
    """Seconds of the caller's silence after which a turn that nobody answers is answered, by the
    scenario's reply where its words can be read, else with the phrase; 0: never."""
    listeners: int = Field(default=0, ge=0)
    """Calls at a time that the cascade's recogniser hears too; each takes about half a core while
    its caller speaks. Needs antiphon[cascade]."""
    misfit: float = 5.0
    """How badly its words may fit what was heard, in its own units a frame, and still decide."""


class ForbiddenRules(_Part):
    """Words and topics that the agent never says; `*` ends a word's stem ("politic*")."""

    words: Words = ()
    topics: Mapping[str, Words] = {}


ReadBack = Literal["never", "last4", "whole"]


class PersonalRules(_Part):
    """What the agent may read back of numbers that belong to somebody."""

    card: ReadBack = "last4"
    phone: ReadBack = "whole"
    most_digits: int = Field(default=0, ge=0)
    """Digits that the agent may say on end; 0: what the scenario's slots of digits need, or 12."""


class UnsafeRules(_Part):
    """Advice that nobody should hear, and asks to which only a refusal is right."""

    intents: Words = ("unsafe",)
    """Intents of the scenario that ask for what must be refused."""
    asks: Words = ()
    """More of such asks, as the caller's words; `*` ends a stem."""
    sure: Share = 0.7
    """How sure the guard must be that words which are no sentence of the scenario's ask for it,
    from the words that its intents' callers use. Over it lie .88 of 120 asks that no template has,
    and none of 120 requests that only sound so (benchmarks/gist.py)."""
    advice: Words = ()
    """More that the agent must not say."""


class LanguageRules(_Part):
    """The language that is spoken."""

    language: Literal["en", "de", "fr", "es", "it"] = "en"
    least: int = Field(default=3, ge=1)
    """Words of another language in a sentence from which it is another's."""


class SpeechRules(_Part):
    """How far the voice may be from its text, read back by the judge."""

    most: Share = 0.6
    """Character errors of what the judge read, over the characters of the text."""
    least: int = Field(default=8, ge=1)
    """Characters of text from which the judge is asked."""


class SoundRules(_Part):
    """What is no voice."""

    clipped: Share = 0.02
    """Share of a frame's samples at full scale."""
    voiced: Share = 0.65
    """Least periodicity of 0.32 s of sound: one voice has 0.71 and more (14 replies of the café's
    agent), babble 0.5 (at most 0.61), noise 0.1."""
    own: Share = 0.3
    """Least share of a voice's periods that lie in the agent's range, where that was measured."""
    loose: float = Field(default=0.5, gt=0)
    """Seconds of voice without words after which the sentence is broken off."""
    mute: float = Field(default=1.2, gt=0)
    """Seconds after which a word that cannot be heard shows that the engine is silent."""


class ClassifierRules(_Part):
    """An external classifier behind an OpenAI-compatible moderation URL."""

    url: str
    """As "https://host/v1/moderations"."""
    model: str = ""
    key_env: str = ""
    """The environment variable with the key; "" sends none."""
    deadline_ms: float = Field(default=300, gt=0)
    """From the moment that the text is known."""
    on_timeout: Literal["pass", "block"] = "pass"
    on_error: Literal["pass", "block"] = "pass"
    categories: Words = ()
    """Which flags count; () means whatever is flagged."""


Kind = Literal["card", "phone", "email", "address", "loyalty", "number"]
KINDS: tuple[Kind, ...] = get_args(Kind)


class RedactRules(_Part):
    """What is taken out of transcripts and logs."""

    kinds: tuple[Kind, ...] = ("card", "phone", "email", "address", "number")
    slots: Mapping[str, Kind] = {}
    """Slots of digits that are somebody's: {digits: loyalty}."""
    longest_number: int = Field(default=6, ge=1)
    """A number of more digits than this that is none of the other kinds is a `number`."""


class Threshold(_Part):
    """A risk that is too high from `up` on, and no longer at `down` or below."""

    up: float
    down: float
    least: int = Field(default=20, ge=1)
    """Turns (calls, minutes) below which the figure says nothing."""

    @model_validator(mode="after")
    def _apart(self) -> Threshold:
        if not self.down <= self.up:
            raise ValueError("`down` must not be above `up`")
        return self


class BreakerRules(_Part):
    """When the network is no longer trusted, and when it is again."""

    start: Level = "guarded"
    best: Level = "guarded"
    """The level that recovery leads back to; `end_to_end` leaves the voice unheld."""
    blocks: int = Field(default=2, ge=1)
    """Blocks within `window` after which the cascade answers."""
    faults: int = Field(default=1, ge=1)
    """Engine faults (an error, NaN, a frozen or silent voice) within `window` that do the same."""
    service_faults: int = Field(default=3, ge=1)
    """Engine faults of any calls within `window` after which the cascade answers all of them."""
    missed: int = Field(default=25, ge=1)
    """Missed deadlines within `window` that do the same: 2 s of a minute stutter."""
    cascade_faults: int = Field(default=2, ge=1)
    """Faults of the cascade (not understood, an error) within `window` that hand over."""
    window: float = Field(default=60.0, gt=0)
    confidence: Threshold = Threshold(up=0.55, down=0.4, least=3)
    """Mean confidence of recent turns: guarded below `down`, trusted again from `up`."""
    calibration: Calibrator | None = None
    """Mends the confidence first; benchmarks/guard_calibration.py fits one."""
    risk: Mapping[str, Threshold] = {
        "hallucination": Threshold(up=0.10, down=0.03),
        "invalid_calls": Threshold(up=0.05, down=0.01),
        "violations": Threshold(up=0.03, down=0.01),
        "divergence": Threshold(up=0.25, down=0.10),
    }
    """By the names of guard.risk.Risk.rates."""
    cool: float = Field(default=30.0, gt=0)
    """Seconds without trouble before the level above is tried."""
    trial: float = Field(default=20.0, gt=0)
    """Seconds for which a trial must go well."""
    backoff: float = Field(default=2.0, ge=1)
    """How much longer the next pause is after a trial that failed."""
    longest_cool: float = Field(default=900.0, gt=0)
    person: Words = (
        *("speak to a person", "talk to a person", "speak to a human", "talk to a human"),
        *("speak to someone", "talk to someone", "to the manager", "to an operator"),
        *("real person", "speak to the manager", "let me talk to a person"),
    )
    """What a caller says who wants a person."""
    person_intents: Words = ("person",)
    """Intents of the scenario that say the same."""
    handover: str = "one moment please"
    """What is said before a person takes the line."""


class GuardConfig(_Part):
    """The whole section; every part has a default."""

    checks: tuple[CheckName, ...] = tuple(name for name in CHECK_NAMES if name != "script")
    """By name, in the order in which their verdicts count."""
    holdback_ms: float | None = Field(default=None, ge=0, le=2_000)
    """By how much the voice is held back; None: the lead of the text, in whole frames."""
    patience_ms: float = Field(default=160, ge=0, le=2_000)
    """How much longer a word may wait for what would support it (the caller's last word)."""
    phrase: str | None = None
    """What is said in place of a blocked sentence; None: the scenario's first refusal."""
    phrases: Mapping[CheckName, str] = {}
    """The same, by the check that blocked."""
    style: str | None = "apologetic"
    """How they are said, where the bundle knows styles; None: as the agent would."""
    claims: ClaimRules = ClaimRules()
    calls: CallRules = CallRules()
    heard: HeardRules = HeardRules()
    reading: ReadingRules = ReadingRules()
    forbidden: ForbiddenRules = ForbiddenRules()
    personal: PersonalRules = PersonalRules()
    unsafe: UnsafeRules = UnsafeRules()
    language: LanguageRules = LanguageRules()
    speech: SpeechRules = SpeechRules()
    audio: SoundRules = SoundRules()
    classifier: ClassifierRules | None = None
    redact: RedactRules = RedactRules()
    breaker: BreakerRules = BreakerRules()

    def phrase_for(self, check: str, scenario: Scenario) -> str:
        """What is said instead, when this check blocks."""
        for name, text in self.phrases.items():
            if name == check:
                return text
        return self.phrase or refusal(scenario) or AGAIN

    def all_phrases(self, scenario: Scenario) -> tuple[str, ...]:
        """Everything that may be said instead, each once."""
        names = (*self.checks, "classifier")
        said = [self.phrase_for(name, scenario) for name in names]
        said += [confirm.ask for confirm in self.calls.confirm.values()]
        return tuple(dict.fromkeys([*said, self.breaker.handover]))


def guard_of(scenario: Scenario) -> GuardConfig:
    """The scenario's guard section, or the defaults. Raises ScenarioError naming the key."""
    try:
        config = GuardConfig.model_validate(dict(scenario.guard or {}))
    except ValidationError as problem:
        first = problem.errors()[0]
        where = ".".join(str(key) for key in ("guard", *first["loc"]))
        if first["type"] == "extra_forbidden":
            raise ScenarioError(f"{scenario.name}: unknown key {where!r}") from None
        message = first["msg"].removeprefix("Value error, ")
        raise ScenarioError(f"{scenario.name}: {where}: {message}") from None
    _check(config, scenario)
    return config


def _check(config: GuardConfig, scenario: Scenario) -> None:
    tools = {tool.name for tool in scenario.tools}
    named: dict[str, Any] = {
        "confirm": config.calls.confirm,
        "after": config.calls.after,
        "never": config.calls.never,
        "most": config.calls.most,
    }
    for key, names in named.items():
        for name in names:
            if name not in tools:
                raise ScenarioError(f"{scenario.name}: guard.calls.{key}: unknown tool {name!r}")
    for slot in config.redact.slots:
        if slot not in scenario.slots:
            raise ScenarioError(f"{scenario.name}: guard.redact.slots: unknown slot {slot!r}")
    for intent in config.breaker.person_intents:
        if intent not in scenario.intents and intent != "person":
            key = "guard.breaker.person_intents"
            raise ScenarioError(f"{scenario.name}: {key}: unknown intent {intent!r}")
    if config.style is not None and config.style not in STYLES:
        known = ", ".join(STYLES)
        raise ScenarioError(f"{scenario.name}: guard.style: {config.style!r} is none of {known}")
    if LEVELS.index(config.breaker.best) > LEVELS.index(config.breaker.start):
        raise ScenarioError(f"{scenario.name}: guard.breaker: `best` is below `start`")


def refusal(scenario: Scenario) -> str:
    """The first way in which the scenario refuses; "" where it has none."""
    for name in _REFUSES:
        spec = scenario.intents.get(name)
        node: Node | None = spec.reply.get("neutral") if spec is not None else None
        said = grammar.render(node, {}, scenario.rules, None) if node is not None else None
        if said:
            return grammar.join(said)
    return ""
