"""How `antiphon eval` prints its longer reports."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from antiphon.evaluation import codec, endurance, speech, styles
    from antiphon.evaluation.bootstrap import Estimate


def print_speech(figures: speech.Report) -> None:
    """The report on an agent's speech, and the answers that were read back worst."""
    console = Console()
    console.print(
        f"{figures.answered.n} orders: {figures.data}; bundle {figures.bundle}, "
        f"seed {figures.seed}",
        style="bold",
        highlight=False,
    )
    table = Table(show_header=False)
    table.add_row("answered audibly", str(figures.answered))
    table.add_row("speech against text, CER", figures.cer.show(".2%"))
    table.add_row("  median answer", _number(figures.cer_median, ".2%"))
    table.add_row("  read back to the letter", str(figures.exact))
    table.add_row("the judge's own CER, on the voice", figures.judge_cer.show(".2%"))
    table.add_row("text and call agree", str(figures.text_and_call))
    table.add_row("speech and call agree", str(figures.speech_and_call))
    table.add_row("speech and text agree", str(figures.text_and_speech))
    table.add_row("all three agree on every slot", str(figures.all_three))
    table.add_row("DNSMOS P808", _beside(figures.p808, figures.voice_p808))
    table.add_row("  less the voice's", figures.p808_difference.show("+.2f"))
    table.add_row("DNSMOS OVRL", _beside(figures.ovrl, figures.voice_ovrl))
    table.add_row("  less the voice's", figures.ovrl_difference.show("+.2f"))
    table.add_row("answers with clipping", str(figures.clipped))
    table.add_row("answers with dropouts", str(figures.dropouts))
    table.add_row("  the voice itself", str(figures.voice_dropouts))
    pace = [figures.pace_median, figures.pace_p5, figures.pace_p95]
    middle, low, high = (_number(value, ".2f") for value in pace)
    table.add_row("pace over the voice's, median", f"{middle}  (5 to 95 %: {low} to {high})")
    console.print(table, highlight=False)
    if not figures.valid:
        console.print(
            "The judge misreads more than 5 % of the voice itself (or had nothing to read), so "
            "the figures on content say nothing. Train it longer.",
            style="bold",
        )
    if figures.worst:
        worst = Table(title="read back worst", title_justify="left")
        for column in ("text", "heard by the judge"):
            worst.add_column(column)
        for reading in figures.worst:
            worst.add_row(reading.text, reading.heard)
        console.print(worst, highlight=False)


def print_codec(report: codec.Report) -> None:
    """A codec's figures, a column a side."""
    console = Console()
    console.print(f"codec {report.codec} on {report.corpus}", style="bold", highlight=False)
    table = Table()
    table.add_column("")
    for figures in report.figures:
        side = "the agent's voice" if figures.side == "agent" else "callers"
        table.add_column(f"{side}, n = {figures.utterances}")
    for name, cells in _codec_rows(report.figures):
        table.add_row(name, *cells)
    console.print(table, highlight=False)
    for figures in report.figures:
        console.print(f"{figures.side}: {', '.join(figures.voices)}", highlight=False)


def print_styles(figures: styles.Styles) -> None:
    """What each style does to the voice, and how far each two are apart."""
    console = Console()
    title = f"{figures.sentences} sentences in {len(figures.means)} styles; bundle {figures.bundle}"
    console.print(f"{title}, seed {figures.seed}", style="bold", highlight=False)
    table = Table()
    for column in ("style", "pitch, Hz", "level, dBFS", "tempo"):
        table.add_column(column, justify="left" if column == "style" else "right")
    for mean in figures.means:
        table.add_row(mean.style, f"{mean.pitch:.0f}", f"{mean.level:.1f}", f"{mean.tempo:.2f}")
    console.print(table, highlight=False)
    apart = Table(title="effect sizes (Cohen's d)", title_justify="left")
    for column in ("styles", "pitch", "level", "tempo"):
        apart.add_column(column, justify="left" if column == "styles" else "right")
    for pair in figures.pairs:
        cells = (f"{pair.pitch:+.1f}", f"{pair.level:+.1f}", f"{pair.tempo:+.1f}")
        apart.add_row(f"{pair.a} to {pair.b}", *cells)
    console.print(apart, highlight=False)
    total = len(figures.pairs)
    lines = [
        f"told apart by pitch, level and tempo alike: {figures.told_apart} of {total} pairs",
        f"by one of them at least: {figures.told_by_any} of {total}",
        f"smallest effect: {figures.smallest:.2f}",
        f"tempo follows the speed asked for: rho {_number(figures.speed_followed, '.2f')}, "
        f"slowest to fastest {_number(figures.tempo_ratio, '.2f')} of {figures.asked_ratio:.2f}",
    ]
    if figures.unheard:
        lines.append(f"inaudible: {figures.unheard}")
    console.print("\n".join(lines), highlight=False)


def print_endurance(figures: endurance.Endurance) -> None:
    """The first and the last five minutes side by side."""
    console = Console()
    calls = f"{figures.calls} calls of {figures.minutes:g} minutes on {figures.data}"
    head = f"{calls}; bundle {figures.bundle}, seed {figures.seed}"
    console.print(head, style="bold", highlight=False)
    table = Table()
    table.add_column("")
    parts = (figures.first, figures.last, figures.whole)
    for name, part in zip(("first 5 minutes", "last 5 minutes", "whole"), parts, strict=True):
        table.add_column(f"{name}, n = {part.exchanges}")
    table.add_row("orders right", *(str(part.right) for part in parts))
    table.add_row("answered", *(str(part.answered) for part in parts))
    table.add_row("gap P50, ms", *(_number(part.gap_p50, ".0f") for part in parts))
    table.add_row("pitch, Hz", *(_number(part.pitch, ".1f") for part in parts))
    table.add_row("level, dBFS", *(_number(part.level, ".1f") for part in parts))
    table.add_row("ms a frame, P50", *(_number(part.frame_ms, ".1f") for part in parts))
    console.print(table, highlight=False)


def _codec_rows(columns: Sequence[codec.Figures]) -> list[tuple[str, list[str]]]:
    return [
        ("PESQ-wb", [_number(f.pesq_wb, ".2f") for f in columns]),
        ("STOI", [_number(f.stoi, ".3f") for f in columns]),
        ("mel distance, nepers", [_number(f.mel, ".3f") for f in columns]),
        (
            "DNSMOS OVRL, original -> decoded",
            [_pair(f.dnsmos_ovrl_original, f.dnsmos_ovrl_decoded) for f in columns],
        ),
        (
            "DNSMOS P808, original -> decoded",
            [_pair(f.dnsmos_p808_original, f.dnsmos_p808_decoded) for f in columns],
        ),
        ("codes used, by codebook", [" ".join(map(str, f.codes_used)) for f in columns]),
        ("entropy, bit", [" ".join(f"{bits:.1f}" for bits in f.code_bits) for f in columns]),
        ("bit/s", [f"{f.bits_per_second:.0f}" for f in columns]),
        ("ms a frame, decoder in torch", [f"{f.step_ms:.1f}" for f in columns]),
    ]


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else f"{value:{form}}"


def _pair(before: float | None, after: float | None) -> str:
    return "-" if before is None or after is None else f"{before:.2f} -> {after:.2f}"


def _beside(ours: Estimate, voice: Estimate) -> str:
    if ours.value is None or voice.value is None:
        return "-"
    return f"{ours.value:.2f}, the voice {voice.value:.2f}"
