from __future__ import annotations

import torch

from antiphon.model.memory import WordMemory
from tests.model.tiny import MEMORY


def _memory() -> WordMemory:
    torch.manual_seed(0)
    return WordMemory(MEMORY, text_vocabulary=20, call_vocabulary=9).eval()


def _streams(frames: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    streams = [
        torch.where(torch.rand(3, frames) < 0.3, torch.randint(1, most, (3, frames)), 0)
        for most in (20, 20, 9)
    ]
    streams[0][2] = streams[1][2] = streams[2][2] = 0  # to one of them nothing happens
    return streams[0], streams[1], streams[2]


def test_steps_equal_whole_past_the_window() -> None:
    memory, streams = _memory(), _streams(40)
    whole = memory(*streams)
    state, pieces = memory.initial_state(3), list[torch.Tensor]()
    for t in range(40):
        now, state = memory.step(*(stream[:, t] for stream in streams), state)
        pieces.append(now)
    torch.testing.assert_close(torch.stack(pieces, 1), whole, atol=1e-5, rtol=0)
    assert not whole[2].any()


def test_time_between_events_does_not_matter() -> None:
    memory, streams = _memory(), _streams(30)
    apart = [stream.new_zeros(3, 90) for stream in streams]
    for stream, wide in zip(streams, apart, strict=True):
        wide[:, 1::3] = stream
    torch.testing.assert_close(memory(*apart)[:, 1::3], memory(*streams), atol=1e-5, rtol=0)
    torch.testing.assert_close(memory(*apart)[:, 2::3], memory(*streams), atol=1e-5, rtol=0)


def test_what_is_not_yet_done_is_not_known() -> None:
    memory, streams = _memory(), _streams(30)
    before = memory(*streams)
    for stream in streams:
        stream[:, 20:] = 3
    torch.testing.assert_close(memory(*streams)[:, :20], before[:, :20], atol=1e-6, rtol=0)


def test_it_says_which_token_and_not_whether_there_is_one() -> None:
    memory = _memory()
    call, now = torch.randn(2, 5, 9), torch.randn(2, 5, MEMORY.hidden_size)
    weighed = memory.weigh(call, now)
    assert torch.equal(weighed[..., 0], call[..., 0])
    torch.testing.assert_close(weighed.amax(-1), call.amax(-1))
    assert not torch.equal(weighed.argmax(-1), call.argmax(-1))
    own = memory.call_head(now)[..., 1:].softmax(-1) ** MEMORY.trust
    both = own * call.softmax(-1)[..., 1:]
    torch.testing.assert_close(weighed[..., 1:].softmax(-1), both / both.sum(-1, keepdim=True))
