from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from antiphon.corpus.disk import Corpus
from antiphon.model.config import EncoderConfig
from antiphon.model.encoder import Encoder
from antiphon.training.hearing import HearingTask, distance, greedy, utterances
from antiphon.training.lines import LineMel, strength
from antiphon.training.prepare import Flat, prepare
from antiphon.training.recordings import Recording
from antiphon.training.streams import CHARACTERS, spell
from tests.model.tiny import CONFIG
from tests.training.made import corpus, tone


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> HearingTask:
    folder = tmp_path_factory.mktemp("flat")
    prepare(Corpus.open(corpus(folder / "corpus", 6)), folder)
    flat = Flat(folder)
    torch.manual_seed(0)
    return HearingTask(
        Encoder(CONFIG.encoder, len(CHARACTERS) + 1),
        flat,
        flat,
        [Recording(tone(1.0, 150), "hello")],
        real_share=0.3,
        batch_seconds=12,
        seed=0,
        line=LineMel(),
    )


def test_utterances_are_the_callers_turns_and_the_transcribed_recordings(task: HearingTask) -> None:
    found = utterances(task.flat, [Recording(tone(1.0, 150), "hello"), Recording(tone(1, 9), "")])
    assert len(found) == 7
    assert {u.text for u in found} >= {"hello", "a large latte"}


def test_a_batch_is_a_function_of_its_step_and_holds_silence_around_speech(
    task: HearingTask,
) -> None:
    batch = task.batch(3, 0, 0.2)
    assert torch.equal(task.batch(3, 0, 0.2).mel, batch.mel)
    assert batch.mel.shape[1] % 8 == 0
    assert int(batch.target_lengths.sum()) == len(batch.targets)
    assert bool((batch.lengths <= batch.mel.shape[1] // 4).all())


def test_the_loss_falls(task: HearingTask) -> None:
    optimiser = torch.optim.AdamW(task.network.parameters(), lr=3e-3)
    losses: list[float] = []
    for step in range(25):
        loss, _ = task.loss(task.network, task.batch(step, 0, 0.0))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert np.mean(losses[-5:]) < 0.7 * np.mean(losses[:5])
    assert 0 <= task.validate(task.network)["cer"] <= 3


def test_augmentation_starts_light_and_is_whole_after_a_third() -> None:
    assert strength(0.0) < 0.2
    assert strength(0.4) == strength(1.0) == 1.0


def test_greedy_drops_blanks_and_repeats() -> None:
    ids = [0, 9, 9, 0, 10, 10, 0, 0]
    path = torch.full((len(ids), len(CHARACTERS) + 1), -9.0)
    path[torch.arange(len(ids)), torch.tensor(ids)] = 0
    assert greedy(path) == CHARACTERS[8] + CHARACTERS[9]


@given(st.text("abc", max_size=6), st.text("abc", max_size=6), st.text("abc", max_size=6))
def test_distance_is_a_metric(a: str, b: str, c: str) -> None:
    assert distance(a, a) == 0
    assert distance(a, b) == distance(b, a)
    assert distance(a, c) <= distance(a, b) + distance(b, c)


def test_distance_of_known_words() -> None:
    assert distance("kitten", "sitting") == 3


def test_two_characters_a_position_spell_what_one_is_too_slow_for() -> None:
    """A position is 40 ms; fast voices say more than 25 characters a second."""
    text = "iced latte with oat milk"
    spelled = torch.tensor(spell(text))
    for rate, possible in ((1, False), (2, True)):
        encoder = Encoder(EncoderConfig(width=16, layers=1, heads=1, ctc_rate=rate), 29)
        frames = len(text) // 4 + 1  # 12.5 frames a second: 50 characters a second
        vectors, _ = encoder(torch.zeros(1, 8 * frames, 80))
        written = encoder.characters(vectors)
        assert written.shape == (1, frames * encoder.config.written, 29)
        loss = torch.nn.functional.ctc_loss(
            written.transpose(0, 1), spelled[None], [written.shape[1]], [len(spelled)]
        )
        assert torch.isfinite(loss) == possible
