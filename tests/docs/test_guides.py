"""What the guides show is what the code takes."""

from __future__ import annotations

import random
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from antiphon.cli.main import app
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


def _command_lines() -> list[list[str]]:
    """Every line of the README and the guides that runs `antiphon`, as words."""
    pages = [DOCS.parent / "README.md", *sorted((DOCS / "guides").glob("*.md"))]
    text = "\n".join(page.read_text(encoding="utf-8") for page in pages).replace("\\\n", " ")
    lines = re.findall(r"^    (?:torchrun .* -m )?antiphon (.*)$", text, re.MULTILINE)
    return [shlex.split(line.split("  ")[0]) for line in lines]


@pytest.mark.parametrize("words", _command_lines(), ids=" ".join)
def test_commands_in_the_guides_exist_with_their_options(words: list[str]) -> None:
    command: Any = get_command(app)
    rest = list(words)
    while rest and hasattr(command, "get_command"):
        name = rest.pop(0)
        # `antiphon eval cafe` is `antiphon eval run cafe`.
        found = command.get_command(None, name) or command.get_command(None, "run")
        assert found is not None, f"no command {name!r}"
        command = found
    options = {option for parameter in command.params for option in parameter.opts}
    unknown = [word for word in rest if word.startswith("--") and word not in options]
    assert not unknown
