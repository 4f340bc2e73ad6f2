from __future__ import annotations

import re
from pathlib import Path

import pytest

from antiphon.evaluation.compare import Comparison, compare, markdown, readme_table, write
from antiphon.evaluation.compare.write import page
from tests.evaluation.compare.test_side import named
from tests.evaluation.report.made import report


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    folder = tmp_path_factory.mktemp("reports")
    systems = [("cafe", 1), ("cascade", 4), ("silent", 5)]
    return compare(
        [(name, named(report(folder, count=5, wrong=wrong), name)) for name, wrong in systems]
    )


def test_the_readme_table_has_a_column_a_system_and_its_data_below(made: Comparison) -> None:
    table = readme_table(made).splitlines()
    assert table[0] == "|  | cafe | cascade | silent |"
    assert table[2] == "| task done (pass^1) | .80 [.30, .90] | .20 [.30, .90] | 0.00 [.30, .90] |"
    assert table[-1] == "5 stimuli in common: 5 orders <made> by hand; seed 3, 95 % intervals."


def test_every_row_of_the_markdown_is_as_wide_as_its_head(made: Comparison) -> None:
    width = 0
    for line in markdown(made).splitlines():
        bars = len(re.findall(r"(?<!\\)\|", line))
        if line.startswith("|") and width:
            assert bars == width, line
        width = bars if line.startswith("|") else 0


def test_the_page_answers_when_end_to_end_is_worth_it(made: Comparison) -> None:
    text = page(made)
    assert "When is end-to-end worth it?" in text
    assert "End-to-end is better in accuracy." in text
    assert "5 orders &lt;made&gt; by hand" in text
    assert not re.search(r'(?:src|href)="(?:https?:)?//', text)


def test_three_files_are_written_and_the_data_reads_back(made: Comparison, tmp_path: Path) -> None:
    write(made, tmp_path)
    assert Comparison.model_validate_json((tmp_path / "compare.json").read_bytes()) == made
    assert {path.name for path in tmp_path.iterdir()} == {
        "compare.html", "compare.md", "compare.json",
    }  # fmt: skip
