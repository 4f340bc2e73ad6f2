"""Tuning on hand-made conversations: what is worth what, and what the gradient makes of it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.fabric import Fabric

from antiphon.audio import FRAME
from antiphon.corpus.calls import Call
from antiphon.corpus.conversation import Conversation, Event, Word
from antiphon.corpus.disk import Corpus, write_conversation, write_index
from antiphon.corpus.scenario import load_scenario
from antiphon.corpus.tokenizer import Tokenizer
from antiphon.errors import RecipeError
from antiphon.model.config import END
from antiphon.model.duplex import Duplex
from antiphon.model.step import FrameStep, Inputs
from antiphon.training import loop
from antiphon.training.duplex import DuplexTask, Example, LossConfig
from antiphon.training.lines import LineMel
from antiphon.training.loop import fit
from antiphon.training.prepare import CODES, Flat, Item, prepare
from antiphon.training.rollout import Rollout
from antiphon.training.schedule import OptimiserConfig
from antiphon.training.streams import SECONDS, Timing, align
from antiphon.training.tune import Outcome, TuneTask, advantages, digest
from antiphon.training.tune_config import RewardConfig, TuneConfig
from antiphon.training.tune_report import Report, chosen, examples_of, report, worse
from antiphon.training.tune_reward import Judge, Judged, Term
from antiphon.training.tune_rollout import Heat, decided, heard_of, roll
from antiphon.training.tune_scenes import Scene, backchannels, draw, scenes
from tests.model.tiny import CONFIG
from tests.training.made import SCENARIO, tone

ORDER = Call(name="place_order", arguments={"items": [{"size": "large", "drink": "latte"}]})
SMALL = Call(name="place_order", arguments={"items": [{"size": "small", "drink": "latte"}]})
REPLY = "okay, a large latte. anything else?"
CAFE = load_scenario(SCENARIO)
CALLS = CAFE.call_vocabulary
TOKENS = Tokenizer.train(
    [REPLY, "a large latte please", "a small latte please", "mm hm", "sorry about that"] * 20, 60
)
TIMING = Timing()


def word(text: str, start: float, end: float, speaker: Any) -> Word:
    return Word(text=text, start=start, end=end, speaker=speaker)


def said(
    text: str, start: float, end: float, speaker: Any, kind: str = "turn", **data: Any
) -> tuple[Event, list[Word]]:
    """A turn and its words, evenly over its time."""
    words = [w.strip(".,?") for w in text.split()]
    step = (end - start) / len(words)
    facts = {"intent": "order", "text": text, "tone": "neutral", **data}
    event = Event(kind=kind, speaker=speaker, start=start, end=end, data=facts)
    return event, [
        word(w, start + i * step, start + (i + 1) * step, speaker) for i, w in enumerate(words)
    ]


def order_at(seconds: float, call: Call = ORDER) -> Event:
    return Event(kind="call", speaker="agent", start=seconds, end=seconds, data=call.model_dump())


def conversation(*parts: tuple[Event, list[Word]] | Event, frames: int = 110) -> Conversation:
    events, words = list[Event](), list[Word]()
    for part in parts:
        events.append(part if isinstance(part, Event) else part[0])
        words += [] if isinstance(part, Event) else part[1]
    audio = np.zeros((2, frames * FRAME), dtype=np.float32)
    for event in events:
        if event.end > event.start:
            sound = tone(event.end - event.start, 180 if event.speaker == "caller" else 240)
            at = int(event.start * 16_000)
            audio[int(event.speaker == "caller"), at : at + len(sound)] = sound
    order = sorted(events, key=lambda e: e.start)
    return Conversation(audio, tuple(sorted(words, key=lambda w: w.start)), tuple(order))


def ordering() -> Conversation:
    """An order from .4 to 1.6 s, answered from 1.92 to 4.4 s."""
    asked = said("a large latte please", 0.4, 1.6, "caller")
    return conversation(asked, order_at(1.6), said(REPLY, 1.92, 4.4, "agent"), frames=70)


def broken() -> Conversation:
    """The caller breaks into the reply at 2.8 s with another order, which ends at 4 s."""
    unsaid = [["anything", 3.7, 3.9], ["else", 3.9, 4.2]]
    first = said("okay, a large latte.", 1.92, 3.2, "agent", unsaid=unsaid, broken_at=2.8)
    return conversation(
        said("a large latte please", 0.4, 1.6, "caller"),
        order_at(1.6),
        first,
        said("a small latte please", 2.8, 4.0, "caller", breaks_in=True),
        order_at(4.0, SMALL),
        said("okay, a small latte.", 4.4, 5.6, "agent"),
    )


def murmured() -> Conversation:
    """The caller murmurs into the reply at 2.24 s."""
    return conversation(
        said("a large latte please", 0.4, 1.6, "caller"),
        order_at(1.6),
        said(REPLY, 1.92, 4.4, "agent"),
        said("mm hm", 2.24, 2.5, "caller", "backchannel"),
        frames=70,
    )


def example(made: Conversation) -> Example:
    frames = made.audio.shape[1] // FRAME
    item = Item(0, frames, made.words, made.events)
    return Example(item, align(frames, made.words, made.events, TOKENS, CALLS, TIMING))


def judge() -> Judge:
    murmurs = frozenset({"mm hm"})
    return Judge(CAFE, TOKENS, CALLS, TIMING, RewardConfig(), murmurs)


def scene_of(made: Conversation, kind: str) -> Scene:
    return next(s for s in scenes([example(made)], 320) if s.kind == kind)


def as_it_was(scene: Scene) -> tuple[list[int], list[int]]:
    """The corpus's own text and calls from a scene's start on, padded."""
    streams = scene.example.streams

    def part(x: np.ndarray) -> list[int]:
        row = x[scene.start : scene.start + scene.frames].tolist()
        return row + [0] * (scene.frames - len(row))

    return part(streams.text), part(streams.call)


def moved(stream: list[int], scene: Scene, by: int) -> list[int]:
    """What comes after the given frames, `by` frames later (earlier: below zero)."""
    given, rest = stream[: scene.prefix], stream[scene.prefix :]
    rest = [0] * by + rest if by > 0 else rest[-by:] + [0] * -by
    return [*given, *rest][: len(stream)]


def values(judged: Judged) -> dict[str, float]:
    return {name: round(term.value, 3) for name, term in judged.terms.items()}


def test_what_the_corpus_did_is_worth_everything() -> None:
    scene = scene_of(ordering(), "reply")
    assert scene.calls == (ORDER,)
    assert scene.ends == 1.6
    judged = judge().judge(scene, *as_it_was(scene))
    assert values(judged) == dict.fromkeys(("calls", "gap", "agree", "tone", "grounded"), 1.0)
    assert judged.gap == pytest.approx(1.92 - 1.6, abs=SECONDS)
    assert not judged.risky


@pytest.mark.parametrize(
    ("by", "worth"),
    [(0, 1.0), (7, (1.2 - (0.32 + 7 * 0.08)) / 0.85), (12, 0.0), (-6, -1.0)],
)
def test_an_answer_is_worth_less_late_and_punished_early(by: int, worth: float) -> None:
    scene = scene_of(ordering(), "reply")
    text, call = as_it_was(scene)
    judged = judge().judge(scene, moved(text, scene, by), call)
    assert judged.terms["gap"].value == pytest.approx(worth, abs=1e-6)


def test_a_murmur_before_the_end_is_no_answer() -> None:
    scene = scene_of(ordering(), "reply")
    text, call = as_it_was(scene)
    text[scene.prefix + 2 : scene.prefix + 4] = [*TOKENS.pieces("mm"), *TOKENS.pieces("hm")][:2]
    text[scene.prefix + 4] = END
    rules = judge()
    rules.murmurs = frozenset({rules.runs(text)[0].text})
    assert rules.judge(scene, text, call).terms["gap"].value == 1.0


def test_nothing_said_is_worth_nothing_and_hurts() -> None:
    scene = scene_of(ordering(), "reply")
    none = [0] * scene.frames
    judged = judge().judge(scene, none, none)
    assert values(judged) == {"calls": 0, "gap": -1, "agree": 0, "tone": 0, "grounded": 1}
    assert judged.gap is None


def test_another_drink_than_was_asked_for_is_wrong_risky_and_disagrees() -> None:
    scene = scene_of(ordering(), "reply")
    text, _ = as_it_was(scene)
    call = [0] * scene.frames
    at = scene.prefix + 20
    wrong = Call(name="place_order", arguments={"items": [{"size": "large", "drink": "mocha"}]})
    ids = CALLS.encode(wrong)
    call[at : at + len(ids)] = ids
    judged = judge().judge(scene, text, call)
    assert judged.terms["calls"] == Term(0.0, at + len(ids) - 1)
    assert judged.terms["agree"].value == 0
    assert judged.risky


def test_answering_nobody_is_punished() -> None:
    alone = conversation(said("a large latte please", 0.4, 1.6, "caller"), frames=40)
    scene = scene_of(alone, "reply")
    none = [0] * scene.frames
    assert judge().judge(scene, none, none).terms["gap"].value == 1.0
    speaking = none.copy()
    speaking[30] = TOKENS.pieces("okay")[0]
    assert judge().judge(scene, speaking, none).terms["gap"].value == -1.0


def test_stopping_for_the_caller_is_worth_what_its_haste_is() -> None:
    scene = scene_of(broken(), "break")
    text, call = as_it_was(scene)
    good = judge().judge(scene, text, call)
    assert good.terms["stop"].value == pytest.approx((1.2 - (41 * SECONDS - 2.8)) / 0.8)
    assert good.terms["calls"].value == 1.0
    fast = text.copy()
    fast[40], fast[37] = 0, END
    assert judge().judge(scene, fast, call).terms["stop"].value == 1.0
    # It goes on to its sentence's end, and over the caller's.
    on = [*text[: scene.prefix], *([TOKENS.pieces("okay")[0]] * 20), END]
    on += [0] * (scene.frames - len(on))
    judged = judge().judge(scene, on, [0] * scene.frames)
    assert judged.terms["stop"].value == 0.0
    assert judged.terms["calls"].value == 0.0


def test_a_murmur_is_no_reason_to_stop() -> None:
    scene = scene_of(murmured(), "hold")
    text, call = as_it_was(scene)
    assert judge().judge(scene, text, call).terms["stop"].value == 1.0
    stopped = text[: scene.prefix] + [END] + [0] * (scene.frames - scene.prefix - 1)
    assert judge().judge(scene, stopped, call).terms["stop"].value == 0.0


def test_a_terms_advantage_ends_where_its_cause_lies() -> None:
    def row(calls: float, gap: float) -> Judged:
        return Judged({"calls": Term(calls, 5), "gap": Term(gap, 2)}, None, None, False)

    rows = [row(1, 1), row(0, 1), row(0, 1), row(0, 1), row(1, 0), row(1, 0), row(1, 0), row(1, 0)]
    got = advantages(rows, 4, RewardConfig(), 8)
    assert got[0, :6] == pytest.approx([np.sqrt(3)] * 6)  # .75 over a spread of sqrt(.1875)
    assert not got[:, 6:].any()
    assert not got[4:].any()  # a group of equals


def network() -> Duplex:
    torch.manual_seed(0)
    sizes = {"text_vocabulary": TOKENS.size, "call_vocabulary": len(CALLS)}
    return Duplex(CONFIG.model_copy(update=sizes)).eval()


@pytest.fixture(autouse=True)
def _no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Curves take longer to draw than these trainings."""

    def plot(folder: Path) -> Path:
        return folder

    monkeypatch.setattr(loop, "plot", plot)


@pytest.fixture(scope="module")
def flat(tmp_path_factory: pytest.TempPathFactory) -> Flat:
    folder = tmp_path_factory.mktemp("flat")
    made = [ordering(), broken(), murmured()]
    entries = [write_conversation(folder / "corpus", i, c) for i, c in enumerate(made)]
    write_index(folder / "corpus", entries)
    prepare(Corpus.open(folder / "corpus"), folder)
    frames = sum(item.frames for item in Flat(folder).items)
    codes = np.arange(frames * 6, dtype="<i2").reshape(frames, 6) % 32
    (folder / CODES).write_bytes(codes.astype("<i2").tobytes())
    return Flat(folder)


def small(**told: Any) -> TuneConfig:
    settings: dict[str, Any] = {
        "steps": 2,
        "scenes": 1,
        "group": 4,
        "log_every": 1,
        "save_every": 1,
        "temperature": 1.0,
        "anchor_seconds": 4.0,
        "held_out": 4,
        "optimiser": OptimiserConfig(learning_rate=1e-3, warmup=0, weight_decay=0, muon=False),
    }
    return TuneConfig.model_validate(settings | told)


def shortened(scene: Scene, frames: int) -> Scene:
    return replace(scene, frames=frames, sound=min(scene.sound, frames))


def task(flat: Flat, duplex: Duplex, config: TuneConfig) -> TuneTask:
    corpus = DuplexTask(
        duplex,
        flat,
        TOKENS,
        CALLS,
        TIMING,
        LossConfig(),
        rollout=Rollout({}, TOKENS, CALLS),
        batch_seconds=config.anchor_seconds,
        longest=60,
        seed=0,
        line=LineMel(),
    )
    found = [shortened(scene, scene.prefix + 16) for scene in scenes(corpus.examples, 320)]
    return TuneTask(duplex, corpus, found, judge(), config, LineMel())


class Mute:
    def initial_state(self, batch: int) -> dict[str, torch.Tensor]:
        return {}

    def step(self, codes: Any, noise: torch.Tensor, state: Any) -> tuple[torch.Tensor, Any]:
        return noise, state


def test_futures_go_on_as_the_running_agent_would(flat: Flat) -> None:
    """The likeliest future of a past of silence is that of FrameStep, frame for frame."""
    duplex, timing = network(), TIMING.model_copy(update={"yielding": 0.5})
    whole = next(s for s in scenes(examples_of(flat, TOKENS, CALLS, timing), 320))
    scene = replace(shortened(whole, 30), prefix=0)
    vectors = heard_of(duplex, [scene], flat, LineMel(), 0.0, np.random.default_rng(0))
    rolled = roll(duplex, [scene], vectors, flat, CALLS, timing, Heat(0.0, 0.0))
    step = FrameStep(duplex, Mute(), timing.eagerness, timing.yielding).eval()
    state, decoder, samples = step.initial_state(1), CALLS.decoder(), scene.samples(flat)
    for t in range(20):
        inputs = Inputs(
            caller=torch.from_numpy(samples[None, t * FRAME : (t + 1) * FRAME]),
            active=torch.ones(1, dtype=torch.bool),
            reset=torch.zeros(1, dtype=torch.bool),
            noise_text=torch.zeros(1, TOKENS.size),
            noise_codes=torch.zeros(1, 6, 32),
            noise_audio=torch.zeros(1, FRAME),
            temperature=torch.zeros(2),
            call_mask=torch.from_numpy(decoder.mask()[None].copy()),
            force_text=torch.full((1,), -1),
            control=torch.zeros(1, 2, dtype=torch.int64),
        )
        with torch.no_grad():
            outputs, state = step(inputs, state)
        decoder.push(int(outputs.call))
        assert int(rolled.text[0, t]) == int(outputs.agent_text)
        assert int(rolled.call[0, t]) == int(outputs.call)
        assert rolled.codes[0, t].tolist() == outputs.codes[0].tolist()


def test_what_was_sampled_is_as_likely_afterwards(flat: Flat) -> None:
    """Greedy choices are the likeliest of the recomputed ones, pasts of different lengths too."""
    duplex = network()
    found = scenes(examples_of(flat, TOKENS, CALLS, TIMING), 320)
    vectors = heard_of(duplex, found, flat, LineMel(), 0.0, np.random.default_rng(0))
    rolled = roll(duplex, found, vectors, flat, CALLS, TIMING, Heat(0.0, 0.4), group=2)
    with torch.no_grad():
        mind = duplex.mind(vectors.repeat_interleave(2, 0), rolled.own())
        logs = decided(duplex.heads(mind), rolled, TIMING, 1.0)
    free = rolled.free
    assert torch.equal(logs.text.argmax(-1)[free], rolled.text[free])
    assert torch.equal(logs.call.argmax(-1)[free], rolled.call[free])
    for row, scene in enumerate(s for s in found for _ in range(2)):
        assert rolled.text[row, : scene.prefix].tolist() == scene.text().tolist()
        assert int(free[row].sum()) == scene.frames - scene.prefix


def test_the_gradient_makes_the_rewarded_of_two_behaviours_likelier(flat: Flat) -> None:
    duplex = network()
    made = task(flat, duplex, small(kl=0.0, anchor=0.0, group=2))

    def judged(drawn: Any, text: Any, call: Any, group: int = 1) -> list[Judged]:
        last = drawn[0].frames - 1
        return [Judged({"gap": Term(v, last)}, None, None, False) for v in (1.0, -1.0)]

    made.judge.rows = judged  # type: ignore[method-assign]
    batch = made.batch(0, 0, 0.0)

    def likely() -> list[float]:
        """Of each of the two, the log-probability of what it said."""
        with torch.no_grad():
            mind = duplex.mind(batch.vectors, batch.own)
            logs = decided(duplex.heads(mind), batch.rolled, TIMING, 1.0).text
        each = logs.gather(-1, batch.rolled.text[..., None])[..., 0]
        return [float(row) for row in (each * batch.rolled.free).sum(1)]

    before = likely()
    optimiser = torch.optim.Adam([p for p in duplex.parameters() if p.requires_grad], 1e-3)
    for _ in range(3):
        loss, _ = made.loss(made.network, batch)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    after = likely()
    assert after[0] > before[0] + 1
    assert after[1] < before[1] - 1


def test_ears_and_voice_stay_and_the_rest_moves(flat: Flat, tmp_path: Path) -> None:
    duplex = network()
    before = copy.deepcopy(duplex.state_dict())
    fit(Fabric(accelerator="cpu"), task(flat, duplex, small(steps=1)), small(steps=1), tmp_path)
    after = duplex.state_dict()
    changed = {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}
    assert {"backbone", "text_head", "call_head"} <= changed
    assert not changed & {"encoder", "depth"}


def test_a_tuning_that_was_killed_ends_with_the_same_weights(flat: Flat, tmp_path: Path) -> None:
    config = small(steps=2)
    straight = network()
    fit(Fabric(accelerator="cpu"), task(flat, straight, config), config, tmp_path / "a")
    stopped = task(flat, network(), config)
    whole: Callable[..., Any] = stopped.batch

    def batch(step: int, rank: int, progress: float) -> Any:
        if step == 1:
            raise KeyboardInterrupt
        return whole(step, rank, progress)

    stopped.batch = batch  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        fit(Fabric(accelerator="cpu"), stopped, config, tmp_path / "b")
    again = network()
    fit(Fabric(accelerator="cpu"), task(flat, again, config), config, tmp_path / "b")
    assert digest(again) == digest(straight) != digest(network())


def test_the_report_is_the_same_twice_and_names_every_figure(flat: Flat) -> None:
    duplex, config = network(), small()
    examples = examples_of(flat, TOKENS, CALLS, TIMING)
    found = chosen(scenes(examples, 320), config)
    assert {s.kind for s in found} == {"reply", "break", "hold"}
    first, again = (
        report(duplex, found, examples, flat, judge(), LossConfig(), config) for _ in range(2)
    )
    assert first == again
    assert first.exchanges == len(found)
    assert first.codes > 0


FIGURES = Report(
    exchanges=64,
    reward=1.0,
    terms={},
    right=0.8,
    early=0.1,
    answered=1.0,
    gap_median=0.3,
    gap_p95=0.6,
    yielded=0.9,
    held=0.9,
    risk=0.05,
    codes=3.0,
    text=0.2,
)


@pytest.mark.parametrize(
    ("update", "words"),
    [
        ({"codes": 3.2}, "its speech fell"),
        ({"codes": float("nan")}, "its speech fell"),
        ({"risk": 0.1}, "nobody asked for"),
    ],
)
def test_worse_speech_or_risk_is_refused_in_a_sentence(
    update: dict[str, float], words: str
) -> None:
    outcome = Outcome(before=FIGURES, after=FIGURES.model_copy(update=update))
    assert words in (outcome.refusal(TuneConfig()) or "")


def test_what_is_within_the_tolerance_is_accepted() -> None:
    after = FIGURES.model_copy(update={"codes": 3.05, "risk": 0.06, "right": 0.5})
    assert worse(FIGURES, after, TuneConfig()) == []


def test_a_corpus_without_exchanges_is_said(flat: Flat) -> None:
    made = task(flat, network(), small())
    with pytest.raises(RecipeError, match="no exchange"):
        TuneTask(made.duplex, made.corpus, [], made.judge, made.config, made.line)


def test_every_kind_is_drawn_in_its_share_where_there_is_any(flat: Flat) -> None:
    found = scenes(examples_of(flat, TOKENS, CALLS, TIMING), 320)
    rng = np.random.default_rng(0)
    kinds = [s.kind for s in draw(found, 300, {"break": 0.3, "hold": 0.2}, rng)]
    assert 60 < kinds.count("break") < 120
    assert 35 < kinds.count("hold") < 85
    assert all(s.kind == "reply" for s in draw(found, 20, {"break": 0.0, "hold": 0.0}, rng))


def test_agents_murmurs_are_found_in_the_corpus() -> None:
    made = conversation(said("Mm-hm.", 1.0, 1.3, "agent", "backchannel"), frames=30)
    assert backchannels([example(made).item]) == {"mm hm"}
