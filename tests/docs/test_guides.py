"""What the guides show is what the code takes."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest

from antiphon.corpus.dialogue import sample_dialogue
from antiphon.corpus.scenario import load_scenario

DOCS = Path(__file__).parents[2] / "docs"


def test_the_scenario_of_the_guide_makes_dialogues(tmp_path: Path) -> None:
    text = (DOCS / "guides" / "scenario.md").read_text(encoding="utf-8")
    block = re.search(r"```yaml\n(.*?)```", text, re.DOTALL)
    assert block is not None
    path = tmp_path / "dentist.yaml"
    path.write_text(block.group(1), encoding="utf-8")
    scenario = load_scenario(path)
    said = [sample_dialogue(scenario, random.Random(seed)) for seed in range(20)]
    calls = {call.name for dialogue in said for turn in dialogue.turns for call in turn.calls}
    assert calls == {"book", "cancel"}


@pytest.mark.parametrize("page", sorted(DOCS.rglob("*.md")), ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), f"{page}: {target}"
