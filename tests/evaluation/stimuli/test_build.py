from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from antiphon.corpus.order import fold
from antiphon.corpus.scenario import load_scenario
from antiphon.errors import CorpusError
from antiphon.evaluation.conditions import CONDITIONS
from antiphon.evaluation.script import Stimulus
from antiphon.evaluation.stimuli import StimulusSet, build, check
from antiphon.evaluation.stimuli.apart import of_test
from antiphon.evaluation.stimuli.collection import STIMULI
from antiphon.evaluation.stimuli.maker import Maker
from antiphon.evaluation.stimuli.reader import SentenceReader
from tests.evaluation.stimuli.made import Tones, cafe

MODULE = sys.modules["antiphon.evaluation.stimuli.build"]  # its function has the same name
KINDS = MODULE._KINDS


@pytest.fixture(scope="module", autouse=True)
def _few_of_each_kind_by_voices_without_engines() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MODULE, "Voices", Tones)
        few = {kind: (make, min(n, 4), full) for kind, (make, n, full) in KINDS.items()}
        patch.setattr(MODULE, "_KINDS", few)
        yield


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> StimulusSet:
    return build(cafe(), tmp_path_factory.mktemp("quick") / "set", seed=3)


def of(stimuli: StimulusSet, kind: str) -> list[Stimulus]:
    found = [s for s in stimuli.stimuli if s.kind == kind and s.condition == "clean"]
    assert found
    return found


def everything(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_set_is_of_all_kinds(quick: StimulusSet) -> None:
    kinds = Counter(f"{s.suite}/{s.kind}" for s in quick.stimuli)
    assert set(kinds) == {
        *(f"task/{k}" for k in ("order", "several", "correction", "cancel", "loyalty")),
        "task/conversation",
        *(f"duplex/{k}" for k in ("turn", "pause", "barge_in", "backchannel", "side_talk")),
        *("duplex/noise", "duplex/monologue", "tone/pair", "tone/control", "risk/silence"),
        *(f"risk/{k}" for k in ("noise_only", "out_of_domain", "unsafe", "safe_lookalike")),
    }
    assert len({s.id for s in quick.stimuli}) == len(quick.stimuli)
    assert not quick.facts.left_out


def test_it_is_apart_from_training(quick: StimulusSet) -> None:
    check(quick, cafe())


def test_every_clip_holds_what_it_says(quick: StimulusSet) -> None:
    for stimulus in quick.stimuli:
        for step in stimulus.steps:
            for clip in (step.clip, *step.repairs):
                length = len(quick.load(clip.path)) / 16_000
                assert 0 <= clip.start < clip.end <= length
                assert [w for w, _, _ in clip.words] == [w.strip(",.?!") for w in clip.text.split()]
                assert all(clip.start <= a < b <= clip.end + 1e-3 for _, a, b in clip.words)


def test_the_same_seed_gives_the_same_bytes_and_another_one_others(
    quick: StimulusSet, tmp_path: Path
) -> None:
    # A stimulus does not depend on what else is in the set.
    again = build(cafe(), tmp_path / "again", seed=3, suites=["tone", "risk"])
    there = {s.id: s for s in quick.stimuli}
    assert [there[s.id] for s in again.stimuli] == list(again.stimuli)
    files = everything(quick.folder)
    clips = {p: sound for p, sound in everything(again.folder).items() if p.startswith("clips/")}
    assert clips
    assert {p: files[p] for p in clips} == clips
    other = build(cafe(), tmp_path / "other", seed=4, suites=["tone"])
    assert said(other) != said(again)


def said(stimuli: StimulusSet) -> set[str]:
    return {step.clip.text for s in stimuli.stimuli if s.suite == "tone" for step in s.steps}


def test_a_set_that_was_killed_is_finished_to_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = build(cafe(), tmp_path / "whole", seed=5, suites=["risk"])
    made: list[str] = []
    clip = Maker.clip

    def dying(self: Maker, stem: str, *rest: object, **more: object) -> object:
        made.append(stem)
        if len(made) == 6:
            raise KeyboardInterrupt
        return clip(self, stem, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(Maker, "clip", dying)
    folder = tmp_path / "killed"
    with pytest.raises(KeyboardInterrupt):
        build(cafe(), folder, seed=5, suites=["risk"])
    assert not (folder / STIMULI).exists()
    with pytest.raises(CorpusError, match="build the set to its end"):
        StimulusSet.open(folder)
    with (folder / ".stimuli.part.jsonl").open("a") as part:
        part.write('{"id": "risk/half a li')
    build(cafe(), folder, seed=5, suites=["risk"])
    assert made.count("risk/out_of_domain/000.0") == 1  # what was finished is not made again
    assert everything(folder) == everything(whole.folder)
    told: list[tuple[int, int]] = []
    build(cafe(), folder, seed=5, suites=["risk"], progress=lambda *n: told.append(n))
    assert told == []  # a whole set is only opened


def test_another_set_in_the_folder_is_refused(quick: StimulusSet, tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="of another seed"):
        build(cafe(), quick.folder, seed=9)
    (tmp_path / "file").write_text("")
    with pytest.raises(CorpusError, match="is no set of stimuli"):
        build(cafe(), tmp_path)
    with pytest.raises(CorpusError, match='no stimuli for "speed"'):
        build(cafe(), tmp_path / "new", suites=["speed"])


def test_the_goal_is_where_right_calls_lead(quick: StimulusSet) -> None:
    scenario = cafe()
    for stimulus in quick.stimuli:
        calls = [step.expects for step in stimulus.steps if step.expects is not None]
        order = fold(calls, scenario)
        assert stimulus.goal is not None
        assert stimulus.goal.order == (tuple(order["items"]) if order else ())


def test_corrections_matter_and_cancelling_leaves_nothing(quick: StimulusSet) -> None:
    for stimulus in of(quick, "correction"):
        assert stimulus.goal is not None
        assert stimulus.goal.order != tuple(stimulus.facts["before"])
        assert [len(step.repairs) for step in stimulus.steps] == [2, 2]
    for stimulus in of(quick, "cancel"):
        assert stimulus.goal is not None
        assert stimulus.goal.order == ()
    for stimulus in of(quick, "loyalty"):
        assert stimulus.goal is not None
        assert [call.name for call in stimulus.goal.calls or ()] == ["loyalty_number"]


def test_conversations_have_two_to_four_exchanges_and_repairs_that_say_it_again(
    quick: StimulusSet,
) -> None:
    scenario = cafe()
    for stimulus in of(quick, "conversation"):
        assert 2 <= len(stimulus.steps) <= 4
        for step in stimulus.steps:
            assert bool(step.repairs) == (step.expects is not None)
            items = step.expects.arguments.get("items") if step.expects else None
            for repair in step.repairs if items else ():
                assert scenario.parse_reply_slots(repair.text) == items


def test_pauses_lie_where_nobody_would_be_done(quick: StimulusSet) -> None:
    reader = SentenceReader(cafe())
    for stimulus in of(quick, "pause"):
        (step,) = stimulus.steps
        ((start, end),) = step.clip.pauses
        assert end - start >= stimulus.facts["pause"] - 2e-3
        assert 0.4 <= stimulus.facts["pause"] <= 1.2
        sound = quick.load(step.clip.path)[round(start * 16_000) : round(end * 16_000)]
        quiet = np.convolve(np.abs(sound) < 1e-4, np.ones(round(0.39 * 16_000)), "valid")
        assert quiet.max() == round(0.39 * 16_000)
        so_far = " ".join(step.clip.text.split()[: stimulus.facts["after_word"] + 1])
        assert reader.intents(so_far) == ()


def test_what_breaks_in_waits_for_a_long_reply(quick: StimulusSet) -> None:
    for kind in ("barge_in", "backchannel", "side_talk", "noise"):
        for stimulus in of(quick, kind):
            first, second = stimulus.steps
            assert (first.kind, second.kind) == ("turn", kind)
            assert second.when == "agent_speaking"
    for stimulus in of(quick, "side_talk"):
        second = stimulus.steps[1]
        loud = np.abs(quick.load(second.clip.path)).max()
        assert loud < 0.5 * np.abs(quick.load(stimulus.steps[0].clip.path)).max()


def test_a_pair_is_the_same_words_in_every_tone_by_one_voice(quick: StimulusSet) -> None:
    pairs: dict[str, list[Stimulus]] = {}
    for stimulus in of(quick, "pair"):
        pairs.setdefault(stimulus.facts["pair"], []).append(stimulus)
    for members in pairs.values():
        clips = [member.steps[0].clip for member in members]
        assert {clip.tone for clip in clips} == {"neutral", "annoyed", "hesitant", "cheerful"}
        assert len({(clip.text, clip.voice) for clip in clips}) == 1
        lengths = {clip.tone: clip.end for clip in clips}
        assert lengths["annoyed"] < lengths["neutral"] < lengths["hesitant"]
    takes = of(quick, "control")
    assert takes[0].steps[0].clip.text == takes[1].steps[0].clip.text
    assert takes[0].facts["tone"] == takes[1].facts["tone"]
    assert takes[0].steps[0].clip.end != takes[1].steps[0].clip.end


def test_replies_by_tone_are_judged_where_there_are_some_and_else_the_told_tone(
    tmp_path: Path,
) -> None:
    (tmp_path / "plain.yaml").write_text(DESK)
    plain = build(load_scenario(tmp_path / "plain.yaml"), tmp_path / "plain", suites=["tone"])
    assert {(s.facts["judged"], s.facts["reply_class"]) for s in of(plain, "pair")} == {
        ("event", "neutral")
    }
    by_tone = "reply: {neutral: 'okay , {number} .', annoyed: 'sorry , {number} .'}"
    toned = DESK.replace('reply: "(okay | thanks) , {number} ."', by_tone)
    (tmp_path / "toned.yaml").write_text(toned)
    made = build(load_scenario(tmp_path / "toned.yaml"), tmp_path / "set", suites=["tone"])
    assert {s.facts["intent"] for s in of(made, "pair")} == {"ticket"}
    assert {s.facts["judged"] for s in of(made, "pair")} == {"reply"}
    assert {s.facts["tone"]: s.facts["reply_class"] for s in of(made, "pair")} == {
        "neutral": "neutral",
        "annoyed": "annoyed",
        "hesitant": "neutral",
        "cheerful": "neutral",
    }


def test_robustness_is_the_same_orders_on_other_lines(quick: StimulusSet) -> None:
    clean = {s.id: s for s in quick.stimuli if s.condition == "clean"}
    stressed = [s for s in quick.stimuli if s.condition != "clean"]
    assert stressed
    for stimulus in stressed:
        assert stimulus.condition in CONDITIONS
        assert stimulus.steps == clean[stimulus.facts["clean"]].steps


def test_a_quick_set_is_quick_and_a_full_one_backs_claims_under_one_per_cent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(MODULE, "_KINDS", KINDS)
    stressed = 4 * 4
    assert 120 <= len(MODULE._names("quick", MODULE.SUITES)) + stressed <= 200
    names = MODULE._names("full", MODULE.SUITES)
    assert 1_500 <= len(names) <= 2_000
    quiet = ("silence", "noise_only", "out_of_domain")
    assert sum(name.startswith(tuple(f"risk/{kind}/" for kind in quiet)) for name in names) >= 300


def test_any_scenario_will_do_and_what_it_lacks_is_named(tmp_path: Path) -> None:
    (tmp_path / "desk.yaml").write_text(DESK, encoding="utf-8")
    made = build(load_scenario(tmp_path / "desk.yaml"), tmp_path / "set")
    assert set(made.facts.left_out) >= {"task/order", "task/cancel"}
    kinds = {s.kind for s in made.stimuli}
    assert kinds >= {"ticket", "conversation", "turn", "silence", "unsafe", "safe_lookalike"}
    check(made, load_scenario(tmp_path / "desk.yaml"))
    assert all(s.goal is not None and s.goal.order is None for s in made.stimuli)


def test_what_says_too_little_to_be_kept_apart_is_left_out_with_the_reason(
    tmp_path: Path,
) -> None:
    sentence = "my ticket is number seven"
    assert not of_test([sentence])
    few = re.sub(r'say: "\(my .*', f"say: {sentence}", DESK).replace("{number} .", "found .")
    few = few.replace("{digits: [4, 6]}", "[seven]").replace("required: [number]", "")
    (tmp_path / "few.yaml").write_text(few)
    made = build(load_scenario(tmp_path / "few.yaml"), tmp_path / "set", suites=["task"])
    assert "give callers more ways" in made.facts.left_out["task/other"]
    assert made.facts.left_out["task/order"] == "the scenario has no such intent"
    assert "other" not in {s.kind for s in made.stimuli}


DESK = """\
name: desk
slots:
  number: {digits: [4, 6]}
intents:
  ticket:
    weight: 1
    say: "(my | the | it's | this is) (ticket | case | number) [is] [number] _ {number} [please]"
    call: find_ticket
    reply: "(okay | thanks) , {number} ."
  hours:
    weight: 1
    say: "(when | what time) (do you | does the desk) (open | close) [(today | later)]"
    reply: we are open from nine to five on every working day of the week and closed on sundays .
tools:
  find_ticket:
    parameters:
      type: object
      required: [number]
      properties: {number: {slot: number}}
"""
