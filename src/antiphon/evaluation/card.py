"""The card of a bundle: every figure beside the command that printed it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from antiphon.bundle.manifest import CARD, load, seal
from antiphon.evaluation.commands import Report


class Section(BaseModel):
    """One command and the figures that it gave."""

    model_config = ConfigDict(frozen=True)

    title: str
    command: str
    rows: tuple[tuple[str, str], ...]


def of_commands(title: str, command: str, report: Report) -> Section:
    """A section from a run of `antiphon eval commands`."""
    rows = [
        ("command acceptance, 95 % interval", str(report.acceptance)),
        ("slot F1", f"{report.slot_f1:.3f}"),
        ("answered", str(report.answer_rate)),
        ("text and call agree", str(report.agreement)),
    ]
    if report.first_audible_p50 is not None and report.first_audible_p90 is not None:
        times = f"{report.first_audible_p50:.0f} / {report.first_audible_p90:.0f} ms"
        rows.append(("first audible sample after the caller, P50 / P90", times))
        rows.append(("answers that began before the caller had ended", str(report.early)))
    if report.false_orders is not None:
        rows.append(("other speech taken for an order", str(report.false_orders)))
    return Section(title=title, command=command, rows=tuple(rows))


def render(name: str, about: str, sections: Sequence[Section]) -> str:
    """The card as Markdown."""
    lines = [f"# {name}", "", about.strip(), ""]
    for section in sections:
        lines += [f"## {section.title}", "", "```", section.command, "```", ""]
        lines += ["| figure | value |", "|---|---|"]
        lines += [f"| {name} | {value} |" for name, value in section.rows]
        lines.append("")
    return "\n".join(lines)


def put(folder: Path, text: str) -> None:
    """Write the card into a bundle and renew its checksums.

    Raises:
        BundleError: the folder is no sound bundle.
    """
    manifest = load(folder).manifest
    (folder / CARD).write_text(text, encoding="utf-8")
    seal(folder, manifest)
