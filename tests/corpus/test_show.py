from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from antiphon.corpus.conversation import Conversation
from antiphon.corpus.show import draw
from antiphon.errors import CorpusError


def _pixels(path: Path) -> np.ndarray:
    from matplotlib.image import imread

    return np.asarray(imread(path))


def test_a_conversation_becomes_a_picture(tmp_path: Path, conversation: Conversation) -> None:
    path = draw(conversation, tmp_path / "call.png", "a call")
    pixels = _pixels(path)
    assert pixels.shape[1] > 1000
    assert (pixels[..., :3] < 0.9).any(axis=-1).mean() > 0.01


def test_a_longer_conversation_gets_more_rows(tmp_path: Path) -> None:
    one = draw(Conversation(np.zeros((2, 10 * 16_000), np.float32)), tmp_path / "one.png")
    three = draw(Conversation(np.zeros((2, 30 * 16_000), np.float32)), tmp_path / "three.png")
    assert _pixels(three).shape[0] > 2 * _pixels(one).shape[0]


def test_a_picture_that_cannot_be_written_is_one_sentence(
    tmp_path: Path, conversation: Conversation
) -> None:
    with pytest.raises(CorpusError, match="could not be written"):
        draw(conversation, tmp_path / "nowhere" / "call.png")
