from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from antiphon.codec.decoder import Decoder
from antiphon.codec.model import Codec
from antiphon.codec.pitch import track

Vowel = Callable[..., np.ndarray]


class Step(nn.Module):
    """`Decoder.step` with its state as a list, as an exported graph has it."""

    def __init__(self, decoder: Decoder, names: list[str]) -> None:
        super().__init__()
        self.decoder, self.names = decoder, names

    def forward(self, codes: Tensor, noise: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        named = dict(zip(self.names, state, strict=True))
        samples, following = self.decoder.step(codes, noise, named)
        return samples, *(following[name] for name in self.names)


def speech_codes(codec: Codec, vowel: Vowel, rows: int) -> Tensor:
    samples = np.stack([vowel(120 + 60 * row, 1.6, seed=row) for row in range(rows)])
    pitch = np.stack([track(row) for row in samples])
    return codec.encode(torch.from_numpy(samples), torch.from_numpy(pitch))


@torch.no_grad()
def test_frame_by_frame_equals_the_whole(tiny: Codec, vowel: Vowel) -> None:
    codes = speech_codes(tiny, vowel, 2)
    noise = torch.randn(2, codes.shape[1] * 1280)
    whole = tiny.decode(codes, noise)
    state, out = tiny.decoder.initial_state(2), []
    for t in range(codes.shape[1]):
        step, state = tiny.decoder.step(codes[:, t], noise[:, t * 1280 : (t + 1) * 1280], state)
        out.append(step)
    assert whole.abs().max() > 0.01
    torch.testing.assert_close(torch.cat(out, 1), whole, atol=1e-4, rtol=0)


@torch.no_grad()
def test_pieces_of_any_length_equal_the_whole(tiny: Codec, vowel: Vowel) -> None:
    codes = speech_codes(tiny, vowel, 1)
    noise = torch.randn(1, codes.shape[1] * 1280)
    whole, _ = tiny.decoder(codes, noise)
    first, state = tiny.decoder(codes[:, :7], noise[:, : 7 * 1280])
    rest, _ = tiny.decoder(codes[:, 7:], noise[:, 7 * 1280 :], state)
    torch.testing.assert_close(torch.cat([first, rest], 1), whole, atol=1e-4, rtol=0)


@torch.no_grad()
def test_rows_do_not_hear_each_other(tiny: Codec, vowel: Vowel) -> None:
    codes, noise = speech_codes(tiny, vowel, 3), torch.randn(3, 20 * 1280)
    together = tiny.decode(codes, noise)
    alone = tiny.decode(codes[1:2], noise[1:2])
    torch.testing.assert_close(together[1:2], alone, atol=1e-5, rtol=0)


def test_state_is_named_and_batched(tiny: Codec) -> None:
    state = tiny.decoder.initial_state(5)
    assert {len(value) for value in state.values()} == {5}
    _, following = tiny.decoder.step(
        torch.zeros(5, 6, dtype=torch.int64), torch.zeros(5, 1280), state
    )
    assert {k: v.shape for k, v in following.items()} == {k: v.shape for k, v in state.items()}


@pytest.mark.parametrize("dynamo", [True, False])
@pytest.mark.filterwarnings("ignore")
@torch.no_grad()
def test_onnxruntime_gives_the_same_stream_at_any_batch(
    tiny: Codec, vowel: Vowel, tmp_path: Path, dynamo: bool
) -> None:
    names = list(tiny.decoder.initial_state(1))
    step = Step(tiny.decoder, names).eval()
    state = list(tiny.decoder.initial_state(2).values())
    example = (torch.zeros(2, 6, dtype=torch.int64), torch.randn(2, 1280), *state)
    inputs, outputs = ["codes", "noise", *names], ["samples", *(f"next_{n}" for n in names)]
    path = tmp_path / "step.onnx"
    if dynamo:
        batch = torch.export.Dim("batch")
        shapes = ({0: batch}, {0: batch}, tuple({0: batch} for _ in names))
        torch.onnx.export(
            step, example, path, input_names=inputs, output_names=outputs, dynamo=True,
            dynamic_shapes=shapes, verbose=False,
        )  # fmt: skip
    else:
        axes = {name: {0: "batch"} for name in [*inputs, *outputs]}
        torch.onnx.export(
            step, example, str(path), input_names=inputs, output_names=outputs, dynamo=False,
            dynamic_axes=axes, opset_version=17,
        )  # fmt: skip
    session = onnxruntime.InferenceSession(path)
    for rows in (1, 3):
        codes, noise = speech_codes(tiny, vowel, rows), torch.randn(rows, 20 * 1280)
        whole, past = tiny.decode(codes, noise), tiny.decoder.initial_state(rows)
        feed = {name: value.numpy() for name, value in past.items()}
        out: list[np.ndarray] = []
        for t in range(20):
            now = {
                "codes": codes[:, t].numpy(),
                "noise": noise[:, t * 1280 : t * 1280 + 1280].numpy(),
            }
            samples, *rest = session.run(None, {**now, **feed})
            feed = dict(zip(names, rest, strict=True))
            out.append(samples)
        # Its sine differs from torch's in the last bits, and pulses of random filters are loud.
        np.testing.assert_allclose(np.concatenate(out, 1), whole.numpy(), atol=3e-4)
