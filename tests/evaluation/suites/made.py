"""A set of stimuli made by hand: an order on a clean line and a noisy one, and a silence."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np

from antiphon.audio.io import write
from antiphon.corpus.calls import Call
from antiphon.corpus.scenario import load_scenario
from antiphon.evaluation.script import Clip, Goal, Step, Stimulus
from tests.conftest import SCENARIO

ITEM = {"size": "large", "drink": "latte"}


def stimulus_set(folder: Path, orders: int = 2) -> Path:
    """A set in the scenario of the tiny bundle; returns its folder."""
    folder.mkdir(parents=True)
    scenario = folder / "tiny.yaml"
    scenario.write_text(SCENARIO)
    time = np.arange(16_000) / 16_000
    buzz = 0.3 * np.sign(np.sin(2 * np.pi * 120 * time))
    write(folder / "clip.wav", np.concatenate([np.zeros(1_600), buzz, np.zeros(1_600)]))
    clip = Clip(path="clip.wav", text="a large latte please", start=0.1, end=1.1)
    call = Call(name="place_order", arguments={"items": [ITEM]})
    stimuli: list[Stimulus] = []
    for at in range(orders):
        for condition in ("clean", "mulaw"):
            name = f"task/order/{at:03d}" + (f"@{condition}" if condition != "clean" else "")
            stimuli.append(
                Stimulus(
                    id=name,
                    suite="task",
                    kind="order",
                    steps=(Step(clip=clip, after=0.3, expects=call),),
                    goal=Goal(order=(ITEM,)),
                    condition=condition,
                    group=f"voice {at}",
                )
            )
    silence = Stimulus(id="risk/silence/000", suite="risk", kind="silence", steps=(), seconds=1.0)
    facts = {
        "format": 1,
        "scenario": load_scenario(scenario).name,
        "scenario_sha256": hashlib.sha256(b"").hexdigest(),
        "seed": 0,
        "size": "quick",
        "suites": ["task", "risk", "robustness"],
    }
    (folder / "set.json").write_text(json.dumps(facts))
    rows = [one.model_dump_json() + "\n" for one in [*stimuli, silence]]
    (folder / "stimuli.jsonl").write_text("".join(rows))
    return folder
