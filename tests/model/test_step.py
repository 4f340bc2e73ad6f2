from __future__ import annotations

import math
import resource

import torch

from antiphon.model.config import END, PAD
from antiphon.model.duplex import Heads
from antiphon.model.state import State
from antiphon.model.step import FrameStep, Inputs, Outputs
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


def believing(ready: float, call: float, voice: float, due: float) -> FrameStep:
    """A step whose network gives a piece, a call and the caller's voice these probabilities."""
    step = frame_step()
    step.due = due
    real = step.duplex.heads

    def logits(like: torch.Tensor, chosen: int, share: float) -> torch.Tensor:
        made = torch.full_like(like, -30.0)
        made[:, PAD], made[:, chosen] = math.log(1 - share), math.log(share)
        return made

    def heads(z: torch.Tensor) -> Heads:
        found = real(z)
        return found._replace(
            text=logits(found.text, 9, ready),
            call=logits(found.call, 7, call),
            voice=torch.full_like(found.voice, math.log(voice / (1 - voice))),
        )

    step.duplex.heads = heads  # type: ignore[method-assign]
    return step


def decisions(step: FrameStep, frames: int, force: int = -1) -> list[tuple[int, int]]:
    """(text, call) of the first frames of a call."""
    state, made = step.initial_state(1), []
    given = inputs(1, 3, temperature=0.0)._replace(force_text=torch.tensor([force]))
    with torch.no_grad():
        for _ in range(frames):
            outputs, state = step(given, state)
            made.append((int(outputs.agent_text), int(outputs.call)))
    return made


def test_a_reply_begins_once_it_is_likelier_due_than_not() -> None:
    # Due after each frame: .20, .34, .45, .52.
    made = decisions(believing(ready=0.2, call=0.01, voice=0.001, due=0.5), 4)
    assert made == [(PAD, PAD)] * 3 + [(9, PAD)]
    assert decisions(believing(0.2, 0.01, 0.001, due=0.3), 2) == [(PAD, PAD), (9, PAD)]
    assert decisions(believing(0.2, 0.01, 0.001, due=1.0), 60) == [(PAD, PAD)] * 60


def test_a_reply_that_is_overdue_makes_the_call_that_goes_with_it() -> None:
    # .15 of the .20 that something begins are with the call, of the .20 a fourth.
    assert decisions(believing(0.2, 0.15, 0.001, due=0.3), 2)[-1] == (9, 7)
    assert decisions(believing(0.2, 0.05, 0.001, due=0.3), 2)[-1] == (9, PAD)


def test_nothing_is_due_while_the_caller_speaks_or_the_agent_is_told_to_be_silent() -> None:
    assert decisions(believing(0.2, 0.01, voice=0.99, due=0.3), 40) == [(PAD, PAD)] * 40
    assert decisions(believing(0.2, 0.01, 0.001, due=0.3), 40, force=PAD) == [(PAD, PAD)] * 40


def test_a_doubt_is_forgotten() -> None:
    assert decisions(believing(0.02, 0.001, 0.001, due=0.3), 200) == [(PAD, PAD)] * 200


def talking(end: float, voice: float, give_way: float, call: float = 0.001) -> FrameStep:
    """A step whose network talks, would end its turn and hears the caller with these chances."""
    step = believing(ready=0.5, call=call, voice=voice, due=1.0)
    step.give_way = give_way
    made = step.duplex.heads

    def heads(z: torch.Tensor) -> Heads:
        found = made(z)
        text = torch.full_like(found.text, -30.0)
        text[:, 9], text[:, END] = math.log(1 - end), math.log(end)
        return found._replace(text=text)

    step.duplex.heads = heads  # type: ignore[method-assign]
    return step


def test_a_turn_ends_once_it_is_likely_that_it_should_have_for_a_caller_who_speaks() -> None:
    # Should have ended, after each frame but the one that opens the turn: .10, .18, .25, .30.
    made = [text for text, _ in decisions(talking(0.1, 0.999, give_way=0.28), 5)]
    assert made == [9] * 4 + [END]
    assert END not in [text for text, _ in decisions(talking(0.1, 0.999, give_way=1.0), 60)]


def test_nobody_gives_way_to_a_silent_line() -> None:
    assert END not in [text for text, _ in decisions(talking(0.1, 0.01, give_way=0.2), 60)]


def test_what_is_called_is_told_even_by_a_network_that_would_say_nothing() -> None:
    assert decisions(talking(0.9, 0.001, give_way=1.0, call=0.9), 1) == [(9, 7)]
