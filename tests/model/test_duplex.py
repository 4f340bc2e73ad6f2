from __future__ import annotations

import pytest
import torch

from antiphon.model.duplex import OLDEST, Duplex, Mind, Own, recent_pieces, standing_call
from tests.model.tiny import CONFIG, MEMORY, duplex


@pytest.mark.parametrize("memory", [True, False])
def test_steps_equal_whole(memory: bool) -> None:
    network, frames = duplex(memory=memory), 20
    torch.manual_seed(1)
    mel = torch.randn(2, 8 * frames, 80)
    text = torch.where(torch.rand(2, frames) < 0.4, torch.randint(1, 40, (2, frames)), 0)
    heard = torch.where(torch.rand(2, frames) < 0.4, torch.randint(1, 40, (2, frames)), 0)
    call = torch.where(torch.rand(2, frames) < 0.6, torch.randint(0, 5, (2, frames)), 0)
    codes = torch.randint(0, 32, (2, frames, 6))
    none = torch.zeros(2, 1, dtype=torch.int64)
    own = Own(
        torch.cat([none, text[:, :-1]], 1),
        torch.cat([none, heard[:, :-1]], 1),
        torch.cat([none, call[:, :-1]], 1),
        torch.cat([torch.zeros(2, 1, 6, dtype=torch.int64), codes[:, :-1] + 1], 1),
        torch.tensor([[1, 0], [5, 3]]),
    )
    whole, _ = network(mel, own)
    state, minds = network.initial_state(2), list[Mind]()
    for t in range(frames):
        mind, new = network.step(mel[:, 8 * t : 8 * t + 8], own.control, state)
        done = network.remember(state, text[:, t], heard[:, t], call[:, t], codes[:, t])
        state = {**new, **done}
        minds.append(mind)
    for streamed, at_once in zip(zip(*minds, strict=True), whole, strict=True):
        torch.testing.assert_close(torch.stack(streamed, 1), at_once, atol=1e-4, rtol=0)


def test_recent_pieces_are_the_newest_first_with_their_ages() -> None:
    ids, ages = recent_pieces(torch.tensor([[0, 5, 0, 6, 7, 0]]))
    assert ids[0, 0].tolist() == [0, 0, 0]
    assert ages[0, 0].tolist() == [OLDEST] * 3
    assert ids[0, 3].tolist() == [6, 5, 0]
    assert ages[0, 5].tolist() == [1, 2, 4]
    assert ids[0, 5].tolist() == [7, 6, 5]


def test_old_pieces_stop_ageing() -> None:
    text = torch.zeros(1, OLDEST + 10, dtype=torch.int64)
    text[0, 0] = 3
    ids, ages = recent_pieces(text)
    assert int(ages[0, -1, 0]) == OLDEST
    assert int(ids[0, -1, 0]) == 3


def test_the_standing_call_is_the_newest_and_stays_after_its_end() -> None:
    call = torch.tensor([[0, 5, 4, 0, 5, 1, 0, 3, 0, 1, 1]])
    stands = standing_call(call, 8)[0]
    assert stands[3:5, 5].tolist() == [1, 2]  # a token that came twice
    sets = [set(row.nonzero().flatten().tolist()) for row in stands]
    assert sets[:4] == [set(), {5}, {4, 5}, {4, 5}]
    assert sets[4:7] == [{4, 5}, {1, 4, 5}, {1, 4, 5}]
    assert sets[7:] == [{3}, {3}, {1, 3}, {1}]


def test_a_new_memory_of_words_changes_no_call() -> None:
    torch.manual_seed(3)
    network = Duplex(CONFIG.model_copy(update={"memory": MEMORY})).eval()
    mind = Mind(torch.randn(2, 7, 32), torch.randn(2, 7, 24))
    torch.testing.assert_close(network.heads(mind).call, network.call_head(mind.z))
