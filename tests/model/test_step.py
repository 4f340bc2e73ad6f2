from __future__ import annotations

import resource

import torch

from antiphon.model.state import State
from antiphon.model.step import Inputs, Outputs
from tests.model.tiny import frame_step, inputs


def run(seed: int, frames: int) -> tuple[list[Outputs], State]:
    step = frame_step()
    state, made = step.initial_state(2), []
    with torch.no_grad():
        for t in range(frames):
            outputs, state = step(inputs(2, seed * 1000 + t), state)
            made.append(outputs)
    return made, state


def only(given: Inputs, row: int) -> Inputs:
    """The inputs of one slot, in a batch of one."""
    return Inputs(
        *(x if name == "temperature" else x[row : row + 1] for name, x in given._asdict().items())
    )


def test_the_same_seed_gives_the_same_call() -> None:
    first, _ = run(3, 6)
    again, _ = run(3, 6)
    other, _ = run(4, 6)
    assert all(torch.equal(a.agent, b.agent) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[-1].agent, other[-1].agent)


def test_every_initial_state_is_zero_and_slots_come_first() -> None:
    state = frame_step().initial_state(3)
    assert all(value.shape[0] == 3 and not value.any() for value in state.values())


def test_an_idle_slot_is_frozen_bit_for_bit() -> None:
    step = frame_step()
    _, state = run(1, 5)
    given = inputs(2, 77)._replace(active=torch.tensor([True, False]))
    with torch.no_grad():
        _, new = step(given, state)
    assert all(torch.equal(new[name][1], state[name][1]) for name in state)
    assert any(not torch.equal(new[name][0], state[name][0]) for name in state)


def test_a_reset_slot_equals_a_new_one_and_its_neighbour_goes_on() -> None:
    step = frame_step()
    _, state = run(1, 5)
    given = inputs(2, 78)._replace(reset=torch.tensor([True, False]))
    with torch.no_grad():
        both, after = step(given, state)
        fresh, new = step(given, step.initial_state(2))
        plain, went_on = step(given._replace(reset=torch.zeros(2, dtype=torch.bool)), state)
    assert torch.equal(both.agent[0], fresh.agent[0])
    assert all(torch.equal(after[name][0], new[name][0]) for name in after)
    assert torch.equal(both.agent[1], plain.agent[1])
    assert all(torch.equal(after[name][1], went_on[name][1]) for name in after)


def test_slots_do_not_hear_each_other() -> None:
    step = frame_step()
    pair, alone = step.initial_state(2), step.initial_state(1)
    with torch.no_grad():
        for t in range(4):
            given = inputs(2, t)
            both, pair = step(given, pair)
            single, alone = step(only(given, 1), alone)
    torch.testing.assert_close(both.agent[1:], single.agent, atol=1e-4, rtol=0)
    assert torch.equal(both.codes[1:], single.codes)


def test_forced_text_is_what_is_said_and_masked_calls_are_never_made() -> None:
    step = frame_step()
    mask = torch.zeros(1, 12, dtype=torch.bool)
    mask[0, 7] = True
    given = inputs(1, 5)._replace(force_text=torch.tensor([9]), call_mask=mask)
    with torch.no_grad():
        outputs, state = step(given, step.initial_state(1))
    assert int(outputs.agent_text) == 9
    assert int(outputs.call) == 7
    assert int(state["duplex.text"]) == 9


def test_the_state_and_the_process_never_grow() -> None:
    """3,000 frames are four minutes and 400 windows: what has not grown by then never does."""
    step = frame_step()
    state, given = step.initial_state(1), inputs(1, 0)
    with torch.inference_mode():
        for t in range(3_000):
            _, state = step(given, state)
            if t == 300:
                sizes = {name: value.shape for name, value in state.items()}
                memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert {name: value.shape for name, value in state.items()} == sizes
    assert all(torch.isfinite(value).all() for value in state.values())
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < memory * 1.05 + 20_000
