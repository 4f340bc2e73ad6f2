from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from tests.serving.store.acting import tone

from antiphon.audio import FRAME
from antiphon.serving.store.recordings import (
    BLOCK,
    Recorded,
    Recorder,
    Recording,
    pcm,
    place,
    salvage,
)


def ramp(frame: int) -> np.ndarray:
    """int16 [1280]: a frame that tells its own number."""
    return np.full(FRAME, frame + 1, np.int16)


def left(path: Path) -> list[int]:
    return _side(path, 0)


def right(path: Path) -> list[int]:
    return _side(path, 1)


def _side(path: Path, side: int) -> list[int]:
    x, _ = sf.read(path, dtype="int16")
    return [int(value) for value in x[:: FRAME // 2, side][::2]]


def test_channels_lie_on_one_clock(tmp_path: Path) -> None:
    recording = Recording(tmp_path / "a.flac", 5.0)
    for frame in range(4):
        recording.caller(frame, ramp(frame))
        recording.agent(frame + 1, ramp(frame + 100))
        recording.write()
    samples, _ = recording.close()
    assert samples == 5 * FRAME
    assert left(recording.path) == [1, 2, 3, 4, 0]
    assert right(recording.path) == [0, 101, 102, 103, 104]


def test_an_agent_that_is_late_lies_where_it_was_heard(tmp_path: Path) -> None:
    recording = Recording(tmp_path / "a.flac", 5.0)
    for frame in range(12):
        recording.caller(frame, ramp(frame))
        if frame in (0, 8, 9):
            recording.agent(frame + 1, ramp(frame + 100))
        recording.write()
    recording.close()
    assert right(recording.path)[:11] == [0, 101, 0, 0, 0, 0, 0, 0, 0, 109, 110]


def test_a_burst_of_the_agent_is_not_torn(tmp_path: Path) -> None:
    recording = Recording(tmp_path / "a.flac", 5.0)
    recording.caller(0, ramp(0))
    for frame in range(6):
        recording.agent(1, ramp(frame + 100))
    for frame in range(1, 8):
        recording.caller(frame, ramp(frame))
        recording.write()
    recording.close()
    assert right(recording.path) == [0, 101, 102, 103, 104, 105, 106, 0]


def test_frames_that_were_dropped_are_silence_in_their_place(tmp_path: Path) -> None:
    recording = Recording(tmp_path / "a.flac", 5.0)
    for frame in (0, 1, 5, 6):
        recording.caller(frame, ramp(frame))
    recording.close()
    assert left(recording.path) == [1, 2, 0, 0, 0, 6, 7]


def test_the_file_of_a_call_that_goes_on_can_be_opened_all_the_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    monkeypatch.setattr("antiphon.serving.store.recordings.time.monotonic", lambda: clock[0])
    recording = Recording(tmp_path / "a.flac", 5.0)
    for frame in range(125):
        clock[0] += 0.08
        recording.caller(frame, pcm(tone(frame, 220)))
        recording.agent(frame + 1, pcm(tone(frame, 440)))
        recording.write()
        if frame > 30 and frame % 7 == 0:
            x, _ = sf.read(recording.path, dtype="int16")
            # All but the last second, and less than a block that the encoder holds.
            assert len(x) > (frame + 1) * FRAME - 16_000 - 5 * FRAME - 2 * BLOCK
            assert x[20_000:20_100, 0].any()
    recording.close()


def test_what_was_loud_is_clipped_and_not_turned_over() -> None:
    assert list(pcm(np.array([0.0, 1.0, -1.0, 2.0, -2.0], np.float32))) == [
        0,
        32767,
        -32768,
        32767,
        -32768,
    ]


def test_names_from_outside_cannot_leave_the_folder() -> None:
    day = datetime(2026, 11, 20, tzinfo=UTC)
    assert place("call_1f-A", day) == "recordings/2026/11/20/call_1f-A.flac"
    for name in ("../../etc/passwd", "a/b", "", "x" * 500, "a\x00b", "\ud800"):
        path = place(name, day)
        assert path.startswith("recordings/2026/11/20/x")
        assert len(Path(path).name) < 80


def test_a_disk_that_is_full_ends_the_recording_and_not_the_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    done: list[Recorded] = []
    recorder = Recorder(done.append)
    write = Recording.write

    def full(self: Recording) -> None:
        write(self)
        if self.path.name == "full.flac" and self._written > 10 * FRAME:  # pyright: ignore[reportPrivateUsage]
            raise OSError(28, os.strerror(28))

    monkeypatch.setattr(Recording, "write", full)
    recorder.open("full", tmp_path / "full.flac")
    recorder.open("well", tmp_path / "well.flac")
    for name in ("full", "well"):
        for frame in range(20):
            recorder.caller(name, frame, tone(frame, 220))
    recorder.start()
    recorder.close("well")
    recorder.stop()
    states = {each.call_id: each for each in done}
    assert states["well"].state == "whole"
    assert states["full"].state == "failed"
    assert states["full"].samples > 0  # what was written stays
    assert sf.info(tmp_path / "full.flac").frames == states["full"].samples
    assert "No space left" in caplog.text
    assert recorder.failed == 1


def test_a_folder_that_cannot_be_written_costs_the_recording_alone(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done: list[Recorded] = []
    recorder = Recorder(done.append)
    recorder.open("a", tmp_path / "file" / "a.flac")
    recorder.caller("a", 0, tone(0, 220))
    recorder.close("a")
    recorder.start()
    recorder.stop()
    assert done == [Recorded("a", "failed")]


def test_a_call_without_a_frame_has_no_recording(tmp_path: Path) -> None:
    done: list[Recorded] = []
    recorder = Recorder(done.append)
    recorder.open("a", tmp_path / "a.flac")
    recorder.close("a")
    recorder.start()
    recorder.stop()
    assert done == [Recorded("a", "none")]
    assert not (tmp_path / "a.flac").exists()


def test_frames_beyond_the_backlog_are_dropped_and_counted(tmp_path: Path) -> None:
    recorder = Recorder(lambda _: None, backlog=10)
    recorder.open("a", tmp_path / "a.flac")
    for frame in range(20):
        recorder.caller("a", frame, tone(frame, 220))
    assert recorder.lost == 11
    recorder.start()
    recorder.stop()


def test_salvage_gives_nothing_for_what_holds_nothing(tmp_path: Path) -> None:
    assert salvage(tmp_path / "none.flac") is None
    (tmp_path / "empty.flac").write_bytes(b"")
    assert salvage(tmp_path / "empty.flac") is None
    assert not (tmp_path / "empty.flac").exists()
    (tmp_path / "other.flac").write_bytes(b"something else")
    assert salvage(tmp_path / "other.flac") is None
    assert (tmp_path / "other.flac").exists()
