from __future__ import annotations

from pathlib import Path

import numpy as np

from antiphon.evaluation.suites.stored import load_all
from antiphon.evaluation.trial import load, save
from tests.evaluation.report.made import trial


def test_a_stored_trial_is_the_trial_with_its_sound_on_disk(tmp_path: Path) -> None:
    save(trial(), tmp_path / "a.flac")
    (stored,) = load_all(tmp_path, ["a.flac"])
    whole = load(tmp_path / "a.flac")
    assert stored.told == whole.told
    assert stored.conversation.words == whole.conversation.words
    assert stored.conversation.duration == whole.conversation.duration
    assert np.array_equal(stored.agent, whole.agent)
    assert np.array_equal(stored.caller, whole.caller)
    assert "audio" not in vars(stored.conversation)
    assert list(stored.conversation.turns("caller")) == list(whole.conversation.turns("caller"))
