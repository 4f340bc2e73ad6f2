from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from antiphon.model.layers import (
    CausalConv,
    RMSNorm,
    SwiGLU,
    WindowAttention,
    rotary_tables,
    rotate,
    window_mask,
)


@settings(max_examples=20, deadline=None)
@given(kernel=st.integers(2, 7), cuts=st.lists(st.integers(1, 5), min_size=1, max_size=6))
def test_convolution_in_pieces_equals_whole(kernel: int, cuts: list[int]) -> None:
    torch.manual_seed(0)
    conv = CausalConv(3, 4, kernel)
    x = torch.randn(2, sum(cuts), 3)
    whole, _ = conv(x)
    past, pieces = conv.initial_state(2), []
    for piece in x.split(cuts, dim=1):
        y, past = conv(piece, past)
        pieces.append(y)
    torch.testing.assert_close(torch.cat(pieces, 1), whole, atol=1e-5, rtol=0)


def test_strided_convolution_in_pieces_equals_whole() -> None:
    conv = CausalConv(3, 4, 5, stride=2)
    x = torch.randn(1, 12, 3)
    whole, _ = conv(x)
    first, past = conv(x[:, :4], conv.initial_state(1))
    second, _ = conv(x[:, 4:], past)
    torch.testing.assert_close(torch.cat([first, second], 1), whole, atol=1e-5, rtol=0)


def test_a_position_sees_its_chunk_and_a_window_before_it_and_nothing_else() -> None:
    mask = window_mask(6, 0, 2, 2, None, torch.device("cpu"))[0, 0]
    assert mask[2].tolist() == [True, True, True, True, False, False]
    assert mask[5].tolist() == [False, False, True, True, True, True]


def test_rows_of_an_empty_cache_are_never_seen() -> None:
    mask = window_mask(1, 4, 4, 1, torch.tensor([0, 3]), torch.device("cpu"))
    assert mask[0, 0, 0].tolist() == [False, False, False, False, True]
    assert mask[1, 0, 0].tolist() == [False, True, True, True, True]


def test_rotary_scores_depend_on_distance_only() -> None:
    tables = rotary_tables(50, 8, 10_000.0, torch.device("cpu"))
    q, k = torch.randn(1, 1, 1, 8), torch.randn(1, 1, 1, 8)

    def score(i: int, j: int) -> float:
        return float((rotate(q, tables[:, i : i + 1]) * rotate(k, tables[:, j : j + 1])).sum())

    assert abs(score(7, 3) - score(44, 40)) < 1e-4
    assert abs(score(7, 3) - score(7, 4)) > 1e-4


def test_attention_in_steps_equals_whole_past_the_window() -> None:
    torch.manual_seed(1)
    attention = WindowAttention(16, 4, 2, 8, True, window=5)
    x = torch.randn(2, 17, 16)
    tables = rotary_tables(17, 8, 10_000.0, x.device)
    whole, _ = attention(x, window_mask(17, 0, 5, 1, None, x.device), tables)
    past, pieces = attention.initial_state(2), []
    step_tables = rotary_tables(6, 8, 10_000.0, x.device)
    for t in range(17):
        filled = torch.full((2,), min(t, 5))
        mask = window_mask(1, 5, 5, 1, filled, x.device)
        y, past = attention(x[:, t : t + 1], mask, step_tables, past)
        pieces.append(y)
    torch.testing.assert_close(torch.cat(pieces, 1), whole, atol=1e-5, rtol=0)


def test_norm_and_feed_forward_are_those_of_transformers() -> None:
    from transformers import LlamaConfig
    from transformers.models.llama.modeling_llama import LlamaMLP, LlamaRMSNorm

    x = torch.randn(2, 3, 16)
    torch.testing.assert_close(RMSNorm(16)(x), LlamaRMSNorm(16, 1e-6)(x))
    theirs = LlamaMLP(LlamaConfig(hidden_size=16, intermediate_size=24, num_attention_heads=4))
    ours = SwiGLU(16, 24)
    ours.load_state_dict(theirs.state_dict())
    torch.testing.assert_close(ours(x), theirs(x))
