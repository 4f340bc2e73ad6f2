"""A network that gives the same again and again stands still; silence alone is no sign of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from antiphon.guard.pulse import STILL, Pulse
from tests.guard.talk import Talk


def test_the_same_output_again_and_again_is_told_once() -> None:
    out = Talk()._out(0)
    pulse = Pulse()
    told = [pulse.stopped(out) for _ in range(STILL + 20)]
    assert told.index(True) == STILL
    assert told.count(True) == 1


def test_outputs_that_differ_in_the_last_bit_are_alive() -> None:
    pulse = Pulse()
    outs = [Talk()._out(at) for at in range(50)]
    assert not any(pulse.stopped(out) for out in outs)


def test_what_stands_for_a_network_that_has_gone_is_none() -> None:
    nobody = replace(Talk()._out(0), codes=np.zeros(0, dtype=np.int64))
    pulse = Pulse()
    assert not any(pulse.stopped(nobody) for _ in range(STILL * 3))
