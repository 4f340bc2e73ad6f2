"""The `corpus` commands, end to end, on an imported corpus: no speech engine is needed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from typer.testing import CliRunner

from antiphon.cli.corpus import app
from antiphon.errors import CorpusError

CSV = "start,end,speaker,text\n0.5,1.5,caller,a latte please\n1.8,2.4,agent,sure\n"


@pytest.fixture
def calls(tmp_path: Path) -> Path:
    folder = tmp_path / "calls"
    folder.mkdir()
    sf.write(folder / "one.wav", np.full((48_000, 2), 0.1), 16_000)
    (folder / "one.csv").write_text(CSV)
    return folder


def test_a_recording_is_imported_and_shown(calls: Path, tmp_path: Path) -> None:
    out, picture = tmp_path / "corpus", tmp_path / "call.png"
    done = CliRunner().invoke(app, ["import", str(calls), "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert "1 conversations" in done.output
    done = CliRunner().invoke(app, ["show", str(out), "--out", str(picture)])
    assert done.exit_code == 0, done.output
    assert "a latte please" in done.output
    assert picture.stat().st_size > 10_000


def test_a_conversation_that_is_not_there_is_one_sentence(calls: Path, tmp_path: Path) -> None:
    CliRunner().invoke(app, ["import", str(calls), "--out", str(tmp_path / "corpus")])
    done = CliRunner().invoke(app, ["show", str(tmp_path / "corpus"), "--number", "7"])
    assert isinstance(done.exception, CorpusError)
    assert "numbered from 0" in str(done.exception)
