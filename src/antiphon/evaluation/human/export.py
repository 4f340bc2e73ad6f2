"""A page for blind listening: the same stimuli from two systems, in an order drawn by a seed."""

from __future__ import annotations

import base64
import hashlib
import io
import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile as sf

from antiphon.audio import SAMPLE_RATE
from antiphon.corpus.disk import put
from antiphon.errors import AntiphonError
from antiphon.evaluation.human.model import Key, Pair
from antiphon.evaluation.report import Report
from antiphon.evaluation.report.page import embedded, templates
from antiphon.evaluation.trial import load

QUESTION = "In which call did the agent handle the caller better?"
_SMALL = 0.93  # libsndfile's compression of Opus


def export(
    reports: tuple[tuple[Path, Report], tuple[Path, Report]],
    folder: Path,
    *,
    count: int = 20,
    repeats: int = 2,
    kinds: Sequence[str] = (),
    questions: Sequence[str] = (QUESTION,),
    seed: int = 0,
) -> Key:
    """Write `index.html` and `key.json` for `count` stimuli of two reports (folder, report).

    kinds: only stimuli of these kinds, such as "order"; else of all. repeats: pairs that are
    asked a second time with the sides changed, for each listener's agreement with themselves.
    Raises AntiphonError when the reports share no such stimulus, CorpusError for lost recordings.
    """
    sounds = [
        {case.id: path / case.sound for case in reversed(report.cases)} for path, report in reports
    ]
    kind_of = {case.id: case.kind for case in reports[0][1].cases}
    common = sorted(
        name for name in sounds[0] if name in sounds[1] and (not kinds or kind_of[name] in kinds)
    )
    if not common:
        of = f" of the kinds {', '.join(kinds)}" if kinds else ""
        raise AntiphonError(
            f"{reports[0][0]} and {reports[1][0]} share no stimulus{of}; "
            "run both systems on the same --stimuli"
        )
    pairs = _pairs(common, min(count, len(common)), repeats, seed)
    names = (reports[0][1].run.system, reports[1][1].run.system)
    page = hashlib.sha256(repr((names, pairs, questions)).encode()).hexdigest()[:12]
    key = Key(page=page, systems=names, seed=seed, questions=tuple(questions), pairs=pairs)
    heard = {
        name: [_sound(where[name]) for where in sounds]
        for name in sorted({pair.stimulus for pair in pairs})
    }
    shown = [
        {
            "token": pair.token,
            "a": heard[pair.stimulus][pair.a],
            "b": heard[pair.stimulus][1 - pair.a],
        }
        for pair in pairs
    ]
    data = {"page": page, "questions": list(questions), "pairs": shown}
    script = (Path(__file__).parent / "listen.js").read_text(encoding="utf-8")
    html = templates().get_template("listen.html.j2").render(data=embedded(data), script=script)
    put(folder / "index.html", html.encode())
    put(folder / "key.json", key.model_dump_json(indent=1).encode())
    return key


def _pairs(stimuli: Sequence[str], count: int, repeats: int, seed: int) -> tuple[Pair, ...]:
    """Both systems are A equally often; repeats come in the second half, far from the first."""
    rng = random.Random(f"{seed} listening")
    chosen = rng.sample(list(stimuli), count)
    sides = [0, 1] * (count // 2) + [rng.randrange(2)] * (count % 2)
    rng.shuffle(sides)
    once = list(zip(chosen, sides, strict=True))
    again = rng.sample(once[: (count + 1) // 2], min(repeats, (count + 1) // 2))
    order = [(name, side, False) for name, side in once]
    for name, side in again:
        order.insert(rng.randint((len(order) + 1) // 2 + 1, len(order)), (name, 1 - side, True))
    tokens = [f"p{nth + 1:02d}" for nth in range(len(order))]
    first = {
        name: token for token, (name, _, repeat) in zip(tokens, order, strict=True) if not repeat
    }
    return tuple(
        Pair(
            token=token,
            stimulus=name,
            a=0 if side == 0 else 1,
            repeats=first[name] if repeat else "",
        )
        for token, (name, side, repeat) in zip(tokens, order, strict=True)
    )


def _sound(path: Path) -> str:
    """Both sides of a call on one channel, as Opus in Ogg, base64."""
    mixed = np.clip(load(path).conversation.audio.sum(axis=0), -1, 1)
    file = io.BytesIO()
    sf.write(file, mixed, SAMPLE_RATE, format="OGG", subtype="OPUS", compression_level=_SMALL)
    return base64.b64encode(file.getvalue()).decode()
