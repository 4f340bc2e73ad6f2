from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from antiphon.corpus.delivery import Delivery
from antiphon.corpus.disk import Corpus
from antiphon.training.duplex import (
    Crop,
    DuplexObjective,
    DuplexTask,
    LossConfig,
    _crop,
    _told,
    collate,
)
from antiphon.training.lines import LineMel
from antiphon.training.prepare import CODES, Flat, prepare
from antiphon.training.rollout import Case, Rollout, exactly, hold
from antiphon.training.streams import SECONDS, Streams, Timing
from tests.model.tiny import CONFIG
from tests.training.made import calls, corpus, tokenizer

TOKENS, CALLS = tokenizer(), calls()


@pytest.fixture(scope="module")
def flat(tmp_path_factory: pytest.TempPathFactory) -> Flat:
    folder = tmp_path_factory.mktemp("flat")
    prepare(Corpus.open(corpus(folder / "corpus", 6)), folder)
    frames = sum(item.frames for item in Flat(folder).items)
    # Every conversation's codes are alike: they must not tell which it is.
    each = np.arange(frames, dtype="<i2").reshape(-1, 6) % 32
    codes = np.tile(each, (6, 1))
    (folder / CODES).write_bytes(codes.astype("<i2").tobytes())
    return Flat(folder)


def network() -> object:
    from antiphon.model.duplex import Duplex

    torch.manual_seed(0)
    sizes = {"text_vocabulary": TOKENS.size, "call_vocabulary": len(CALLS)}
    return Duplex(CONFIG.model_copy(update=sizes))


def task(flat: Flat, duplex: object) -> DuplexTask:
    return DuplexTask(
        duplex,  # type: ignore[arg-type]
        flat,
        TOKENS,
        CALLS,
        Timing(),
        LossConfig(corrupt=0.0, silence=1.0),
        rollout=Rollout({}, TOKENS, CALLS),
        batch_seconds=20,
        longest=40,
        seed=0,
        line=LineMel(),
    )


def test_a_step_hears_the_codes_just_played_and_learns_the_next(flat: Flat) -> None:
    made = task(flat, network())
    example = made.examples[0]
    rng = np.random.default_rng(0)
    batch = collate(
        [Crop(example, 3, 20)], flat, made.duplex.config, made.losses, made.line, 0.0, rng
    )
    codes = flat.codes(example.item.offset + 3, 20, 6)
    assert batch.own.codes[0, 0].tolist() == [0] * 6
    assert batch.own.codes[0, 7].tolist() == (codes[7] + 1).tolist()
    assert batch.codes[0, 7].tolist() == codes[8].tolist()
    assert batch.own.text[0, 1:].tolist() == batch.text[0, :-1].tolist()
    assert not bool(batch.valid[0, -1])


def test_padding_never_enters_the_loss(flat: Flat) -> None:
    made = task(flat, network())
    objective = made.network.eval()
    rng = np.random.default_rng(0)
    long, short = Crop(made.examples[0], 0, 40), Crop(made.examples[1], 0, 20)
    pair = collate([long, short], flat, made.duplex.config, made.losses, made.line, 0.0, rng)
    padded = pair.valid[1].clone()
    assert not bool(padded[19:].any())
    changed = pair._replace(
        text=torch.where(pair.valid, pair.text, 7),
        codes=torch.where(pair.valid[..., None], pair.codes, 9),
    )
    assert torch.equal(objective(pair)["loss"], objective(changed)["loss"])


def test_some_short_calls_lose_the_silence_that_they_begin_with_and_no_word(flat: Flat) -> None:
    example = task(flat, network()).examples[0]
    speaks = next(example.item.turns("caller")).start
    crops = [_crop(example, example.item.frames, np.random.default_rng(n)) for n in range(60)]
    starts = {crop.start for crop in crops}
    assert 0 in starts
    assert len(starts) > 1
    assert all(crop.start * SECONDS <= speaks for crop in crops)
    assert all(crop.start + crop.frames == example.item.frames for crop in crops)


def test_the_callers_tone_has_a_weight_of_its_own(flat: Flat) -> None:
    batch = task(flat, network()).batch(0, 0, 0.5)
    found: list[dict[str, float]] = []
    for tone in (0.0, 1.0):
        objective = DuplexObjective(network(), LossConfig(tone=tone)).eval()  # type: ignore[arg-type]
        with torch.no_grad():
            found.append({name: float(value) for name, value in objective(batch).items()})
    assert found[1]["loss"] - found[0]["loss"] == pytest.approx(found[0]["tone"], abs=1e-3)
    assert found[0]["tone"] > 0


def test_what_the_agent_says_too_late_is_seen_and_not_learned(flat: Flat) -> None:
    batch = task(flat, network()).batch(0, 0, 0.5)
    objective = DuplexObjective(network(), LossConfig()).eval()
    late = torch.zeros_like(batch.late)
    late[:, 20:30] = True
    other = batch.text.clone()
    other[:, 20:30] = 5
    with torch.no_grad():
        found = [
            float(objective(batch._replace(late=mask, text=text))["text"])
            for mask in (torch.zeros_like(late), late)
            for text in (batch.text, other)
        ]
    assert found[0] != pytest.approx(found[1], abs=1e-3)
    assert found[2] == pytest.approx(found[3], abs=1e-6)


def test_a_batch_is_a_function_of_its_step_and_rank(flat: Flat) -> None:
    made = task(flat, network())
    again, other = made.batch(4, 0, 0.5), made.batch(4, 1, 0.5)
    assert torch.equal(made.batch(4, 0, 0.5).mel, again.mel)
    assert other.mel.shape != again.mel.shape or not torch.equal(other.mel, again.mel)


def test_the_small_network_learns_to_make_the_right_call(flat: Flat) -> None:
    """Overfits six orders told apart by pitch: the whole path, from samples to a call."""
    duplex = network()
    made = task(flat, duplex)
    optimiser = torch.optim.AdamW(made.network.parameters(), lr=4e-3)
    assert isinstance(made.network, DuplexObjective)
    for step in range(200):
        loss, terms = made.loss(made.network, made.batch(step, 0, 0.0))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert terms["call"] < 0.3
    item = flat.items[1]
    wanted = CALLS.decode(CALLS.encode(_call(flat, 1)))
    case = Case(flat.caller(item.offset, 22), "a large latte", exactly([wanted]))
    held = hold(made.duplex.eval(), [case], TOKENS, CALLS, after=20)[0]
    assert case.right(held.calls)
    assert "latte" in held.agent_text


def _call(flat: Flat, index: int) -> object:
    from antiphon.corpus.calls import Call

    event = next(e for e in flat.items[index].events if e.kind == "call")
    return Call(name=event.data["name"], arguments=event.data["arguments"])


def test_a_directed_conversation_is_always_told_and_others_now_and_then() -> None:
    none = np.zeros(3, dtype=np.int64)
    how = Delivery("calm", 1.0)
    free = Streams(none, none, none, none, none, none, none, how)
    rng = np.random.default_rng(0)
    assert all(_told(replace(free, directed=True), 0.2, rng) == how.control for _ in range(50))
    drawn = [_told(free, 0.2, rng) for _ in range(2000)]
    assert set(drawn) == {(a, b) for a in (0, how.control[0]) for b in (0, how.control[1])}
    assert sum(style > 0 for style, _ in drawn) / 2000 == pytest.approx(0.2, abs=0.04)


def test_what_is_only_read_of_a_caller_has_no_sound_and_whole_words(flat: Flat) -> None:
    made = task(flat, network())
    objective = made.network.eval()
    losses = LossConfig(corrupt=0.0, silence=1.0, read=0.999, misheard=1.0, deaf=1.0)
    crops = [Crop(made.examples[0], 0, 40), Crop(made.examples[1], 0, 40)]
    rng = np.random.default_rng(0)
    batch = collate(crops, flat, made.duplex.config, losses, made.line, 0.0, rng)
    assert batch.read.tolist() == [False, True]  # something is heard in every batch
    assert not bool(batch.own.heard[0].any())
    assert batch.own.heard[1, 1:].tolist() == batch.caller_text[1, :-1].tolist()
    other = batch._replace(
        mel=torch.stack([batch.mel[0], torch.zeros_like(batch.mel[1])]),
        tone=torch.stack([batch.tone[0], (batch.tone[1] + 1) % 4]),
        energy=torch.stack([batch.energy[0], batch.energy[1] + 1]),
    )
    before, after = objective(batch), objective(other)
    for name in ("text", "call", "caller", "tone", "light"):
        torch.testing.assert_close(before[name], after[name])
    silent = batch._replace(mel=torch.zeros_like(batch.mel))
    assert not torch.allclose(objective(silent)["caller"], before["caller"])
