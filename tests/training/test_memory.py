from __future__ import annotations

import numpy as np
import pytest
import torch

from antiphon.corpus.scenario import Scenario, load_scenario
from antiphon.corpus.tokenizer import Tokenizer
from antiphon.model.config import END, PAD, MemoryConfig
from antiphon.model.duplex import Duplex
from antiphon.training.memory import MemoryTask
from antiphon.training.streams import Timing
from tests.model.tiny import CONFIG
from tests.training.made import SCENARIO

SMALL = MemoryConfig(
    hidden_size=32, num_hidden_layers=1, head_dim=8, intermediate_size=48, window=24
)


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    return load_scenario(SCENARIO)


@pytest.fixture(scope="module")
def words() -> Tokenizer:
    text = "i want a large latte with milk and one two three four five six seven eight nine zero"
    return Tokenizer.train([text] * 20, 90)


def _task(scenario: Scenario, words: Tokenizer, misheard: float = 0.0) -> MemoryTask:
    torch.manual_seed(0)
    sizes = {"text_vocabulary": words.size, "call_vocabulary": len(scenario.call_vocabulary)}
    memory = Duplex(CONFIG.model_copy(update={**sizes, "memory": SMALL})).memory
    assert memory is not None
    return MemoryTask(memory, scenario, words, Timing(), conversations=6, misheard=misheard, seed=5)


def test_batches_are_new_conversations_that_call_something(
    scenario: Scenario, words: Tokenizer
) -> None:
    task = _task(scenario, words)
    batches = [task.batch(step, 0, 0.0) for step in range(5)]
    for batch in batches:
        ended = (batch.call == END).sum(1)
        assert (ended >= 1).all()
        # What comes next in one event has happened in the following one.
        assert torch.equal(batch.call[:, :-1], batch.called[:, 1:])
        assert torch.equal(batch.text[:, :-1], batch.said[:, 1:])
        happened = (batch.said != PAD) | (batch.heard != PAD) | (batch.called != PAD)
        assert not happened[:, 0].any()
        longest = happened.sum(1).max()
        assert longest == batch.said.shape[1] - 1 or longest == batch.said.shape[1]
    assert len({tuple(batch.call.flatten().tolist()) for batch in batches}) == 5


def test_a_batch_is_a_function_of_step_and_rank(scenario: Scenario, words: Tokenizer) -> None:
    task = _task(scenario, words, misheard=0.3)
    sixth = task.batch(6, 0, 0.0)
    other = task.batch(6, 1, 0.0)
    task.batch(40, 0, 0.0)
    for again in (task.batch(6, 0, 0.5), _task(scenario, words, misheard=0.3).batch(6, 0, 0.0)):
        assert all(torch.equal(a, b) for a, b in zip(sixth, again, strict=True))
    assert sixth.call.shape != other.call.shape or not torch.equal(sixth.call, other.call)


def test_some_of_what_is_heard_comes_in_wrong(scenario: Scenario, words: Tokenizer) -> None:
    tasks = [_task(scenario, words, share) for share in (0.0, 0.4)]
    batches = [[task.batch(step, 0, 0.0) for step in range(4)] for task in tasks]
    heard = [torch.cat([batch.heard.flatten() for batch in each]) for each in batches]
    counts = [np.bincount(each, minlength=words.size)[1:] for each in heard]
    right, wrong = (count / count.sum() for count in counts)
    common = right.argsort()[-5:]
    assert wrong[common].sum() < 0.9 * right[common].sum()
    # What the agent did is never touched.
    calls = [sorted(torch.cat([b.call[b.call > END] for b in each]).tolist()) for each in batches]
    assert calls[0] == calls[1]


def test_it_learns_which_token_comes_next(scenario: Scenario, words: Tokenizer) -> None:
    task = _task(scenario, words)
    adam = torch.optim.AdamW(task.network.parameters(), lr=1e-2)
    losses: list[float] = []
    for step in range(40):
        loss, figures = task.loss(task.network, task.batch(step % 4, 0, 0.0))
        adam.zero_grad()
        loss.backward()
        adam.step()
        losses.append(figures["call"])
    assert np.mean(losses[-4:]) < 0.8 * losses[0]
    with torch.no_grad():
        figures = task.validate(task.network)
    assert figures["calls"] > 100
    assert 0 <= figures["calls_right"] < 1
