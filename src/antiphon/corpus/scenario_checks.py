"""What a scenario must satisfy beyond its types; every complaint names the line.

In: the raw document with its lines, and the typed scenario. Out: nothing, or a ScenarioError.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from typing import Any, cast

from pydantic import ValidationError
from pydantic_core import PydanticCustomError

from antiphon.corpus import grammar
from antiphon.corpus.calls import CallVocabulary
from antiphon.corpus.grammar import GrammarError, Maybe, Node, RuleRef, SlotRef, Spoken
from antiphon.corpus.located_yaml import Key, Located, as_list, as_mapping
from antiphon.corpus.scenario import FACT, HELD, SAID, IntentSpec, Scenario, SlotSpec, to_slot
from antiphon.errors import ScenarioError

Path = tuple[Key, ...]
_TRIALS = 25  # drawings of each intent when a scenario is loaded


def expand_tools(located: Located) -> None:
    """Turn the `tools` mapping into a list of tools; `{slot: NAME}` becomes that slot's schema."""
    tools = _mapping(located, ("tools",), "tools is a mapping from names to schemas")
    out: list[dict[str, Any]] = []
    for name, tool in tools.items():
        path: Path = ("tools", name)
        spec = as_mapping(tool)
        if spec is None or as_mapping(spec.get("parameters")) is None:
            raise _error(
                located,
                path,
                f"tool {name!r} has no schema; add `parameters` with a JSON schema of type object",
            )
        unknown = sorted(set(spec) - {"description", "parameters"})
        if unknown:
            raise _error(located, (*path, unknown[0]), f"unknown key {unknown[0]!r} in {name!r}")
        parameters = _expand(spec["parameters"], located, (*path, "parameters"))
        out.append({**spec, "name": name, "parameters": parameters})
        try:
            CallVocabulary.from_tools([out[-1]])
        except ScenarioError as problem:
            raise _error(located, (*path, "parameters"), str(problem)) from None
        except ValidationError as problem:
            raise _error(located, path, problem.errors()[0]["msg"]) from None
    located.value["tools"] = tuple(out)


def _mapping(located: Located, path: Path, message: str) -> dict[str, Any]:
    value = located.value.get(path[0])
    if value is None:
        return {}
    mapping = as_mapping(value)
    if mapping is None:
        raise _error(located, path, message)
    return mapping


def _expand(schema: Any, located: Located, path: Path) -> Any:
    entries = as_list(schema)
    if entries is not None:
        return [_expand(v, located, (*path, i)) for i, v in enumerate(entries)]
    mapping = as_mapping(schema)
    if mapping is None:
        return schema
    name = mapping.get("slot")
    if not isinstance(name, str):
        return {k: _expand(v, located, (*path, k)) for k, v in mapping.items()}
    slots = _mapping(located, ("slots",), "slots is a mapping from names to values")
    if name not in slots:
        raise _error(located, (*path, "slot"), f"unknown slot {name!r}")
    try:
        slot = SlotSpec.model_validate(to_slot(slots[name]))
    except (ValueError, PydanticCustomError):
        return {"type": "string", "enum": [name]}  # the slot's own check will say what is wrong
    rest = {k: v for k, v in mapping.items() if k != "slot"}
    if slot.digits is not None:
        low, high = slot.digits
        return {"type": "string", "pattern": f"^[0-9]{{{low},{high}}}$", **rest}
    return {"type": "string", "enum": [value.value for value in slot.values], **rest}


def parse_facts(located: Located) -> None:
    """Turn the words in the facts' tables into templates."""
    facts = _mapping(located, ("facts",), "facts is a mapping from names to tables")
    out: dict[str, Any] = {}
    for name, fact in facts.items():
        path: Path = ("facts", name)
        spec = as_mapping(fact)
        if isinstance(fact, str):
            out[name] = {"rows": {"*": _cell(fact, located, path)}}
        elif spec is not None and as_mapping(spec.get("rows")) and as_list(spec.get("by")):
            rows = _rows(spec["rows"], len(spec["by"]), located, (*path, "rows"))
            out[name] = {**spec, "rows": rows}
        else:
            raise _error(located, path, "a fact is a text, or has `by` (a list) and `rows`")
    located.value["facts"] = out


def _rows(rows: Any, depth: int, located: Located, path: Path) -> Any:
    if depth == 0:
        return _cell(rows, located, path)
    entries = as_mapping(rows)
    if entries is None:
        raise _error(located, path, f"a table with {depth} more slot(s) belongs here")
    return {k: _rows(v, depth - 1, located, (*path, k)) for k, v in entries.items()}


def _cell(text: Any, located: Located, path: Path) -> Node:
    if not isinstance(text, str):
        raise _error(located, path, f"{text!r} is not text; write numbers as words")
    try:
        return grammar.parse(text)
    except GrammarError as problem:
        raise _error(located, path, str(problem)) from None


def check(scenario: Scenario, located: Located) -> None:
    """Raise ScenarioError at the first thing that does not fit together."""
    _check_slots(scenario, located)
    rules = scenario.all_rules
    for name in scenario.object.say if scenario.object else ():
        if name in scenario.rules:
            raise _error(located, ("rules", name), f"<{name}> opens an object; rename one of them")
    for name, node in scenario.rules.items():
        _check_refs(scenario, located, ("rules", name), node, set(scenario.slots))
    _check_cycles(rules, located)
    if scenario.object:
        for name, node in scenario.object.say.items():
            _check_refs(scenario, located, ("object", "say", name), node, set(scenario.slots))
        _check_refs(scenario, located, ("object", "reply"), scenario.object.reply, scenario.slots)
    for name, node in scenario.manifest.items():
        _check_refs(scenario, located, ("manifest", name), node, set(scenario.slots))
    for name, fact in scenario.facts.items():
        _check_fact(scenario, located, name, fact.by, fact.rows)
    if not scenario.intents:
        raise _error(located, ("intents",), "there are no intents")
    for name, intent in scenario.intents.items():
        _check_intent(scenario, located, name, intent)
    _try_out(scenario, located)


def _error(located: Located, path: Path, message: str) -> ScenarioError:
    return ScenarioError(f"{located.at(path)}: {message}")


def _check_slots(scenario: Scenario, located: Located) -> None:
    for name, slot in scenario.slots.items():
        if slot.of is not None and slot.of not in scenario.slots:
            raise _error(located, ("slots", name, "of"), f"unknown slot {slot.of!r}")
        for value in slot.values:
            for part in grammar.walk(value.say):
                if isinstance(part, SlotRef | RuleRef):
                    raise _error(
                        located, ("slots", name), f"{value.value!r}: a slot's words name no slots"
                    )


def _check_refs(
    scenario: Scenario, located: Located, path: Path, node: Node, allowed: Iterable[str]
) -> None:
    known = set(allowed)
    if isinstance(node, grammar.Choice) and (*path, 0) in located.lines:
        for index, option in enumerate(node.options):  # a list: name the entry's own line
            _check_refs(scenario, located, (*path, index), option, known)
        return
    for part in grammar.walk(node):
        if isinstance(part, RuleRef) and part.name not in scenario.all_rules:
            raise _error(located, path, f"unknown rule <{part.name}>")
        if not isinstance(part, SlotRef):
            continue
        if part.name.startswith(FACT):
            if part.name not in known:
                raise _error(located, path, f"unknown fact {part.name.removeprefix(FACT)!r}")
        elif part.name not in known:
            raise _error(located, path, f"unknown slot {part.name!r}")
        elif part.value is not None and part.value not in _values(scenario, part.name):
            raise _error(located, path, f"slot {part.name!r} has no value {part.value!r}")


def _values(scenario: Scenario, slot: str) -> set[str]:
    return {value.value for value in scenario.slots[slot].values}


def _check_cycles(rules: Mapping[str, Node], located: Located) -> None:
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        if name in trail:
            loop = " -> ".join((*trail[trail.index(name) :], name))
            raise _error(located, ("rules", name), f"rules refer to each other in a circle: {loop}")
        if name in done or name not in rules:
            return
        for part in grammar.walk(rules[name]):
            if isinstance(part, RuleRef):
                visit(part.name, (*trail, name))
        done.add(name)

    for name in rules:
        visit(name, ())


def _check_fact(
    scenario: Scenario, located: Located, name: str, by: tuple[str, ...], rows: Mapping[str, Any]
) -> None:
    for slot in by:
        if slot not in scenario.slots:
            raise _error(located, ("facts", name, "by"), f"unknown slot {slot!r}")

    def visit(table: Any, depth: int, path: Path) -> None:
        if depth == len(by):
            _check_refs(scenario, located, path, table, ())
            return
        for key, row in cast("Mapping[str, Any]", table).items():
            for value in (part.strip() for part in key.split("|")):
                if value != "*" and value not in _values(scenario, by[depth]):
                    raise _error(
                        located, (*path, key), f"slot {by[depth]!r} has no value {value!r}"
                    )
            visit(row, depth + 1, (*path, key))

    if by:
        visit(rows, 0, ("facts", name, "rows"))


def _check_intent(scenario: Scenario, located: Located, name: str, intent: IntentSpec) -> None:
    path: Path = ("intents", name)
    _check_refs(scenario, located, (*path, "say"), intent.say, set(scenario.slots))
    said = _slots_said(scenario, intent.say)
    empty, held = intent.weight.get("empty", 0.0), intent.weight.get("held", 0.0)
    holds = any(
        i.effect == "add" and i.weight.get("empty", 0) > 0 and i.place != "last"
        for i in scenario.intents.values()
    )
    if min(empty, held) < 0 or not (empty > 0 or (held > 0 and holds)):
        why = "nothing is ever held" if held > 0 else "its weight is 0"
        raise _error(located, path, f"intent {name!r} can never come up: {why}")
    if intent.place == "first" and not empty > 0:
        raise _error(located, path, f"intent {name!r} can never come up: first, and empty is 0")
    for key in ("reply", "reply_empty"):
        templates = cast("Mapping[str, Node]", getattr(intent, key))
        if templates and "neutral" not in templates:
            raise _error(located, (*path, key), f"intent {name!r}: the tone `neutral` is missing")
        for tone, node in templates.items():
            at: Path = (*path, key, tone)
            if key == "reply_empty":
                _check_refs(scenario, located, at, node, ())
                continue
            names = {*said, *(FACT + fact for fact in scenario.facts)}
            names |= {HELD} if scenario.object else set()
            names |= {SAID} if scenario.object and said else set()
            _check_refs(scenario, located, at, node, {*scenario.slots, *names})
            missing = sorted(_needed(node) - names)
            if missing:
                raise _error(
                    located, at, f"the reply needs {{{missing[0]}}}, which no caller says here"
                )
    needs_held = intent.effect == "change" or scenario.reads_back(name)
    if needs_held and intent.effect != "add" and empty > 0 and not intent.reply_empty:
        raise _error(
            located, path, f"intent {name!r} can come while nothing is held; add `reply_empty`"
        )
    _check_call(scenario, located, name, intent, said)


def _check_call(
    scenario: Scenario, located: Located, name: str, intent: IntentSpec, said: set[str]
) -> None:
    if intent.call is None:
        return
    path: Path = ("intents", name, "call")
    tool = next((tool for tool in scenario.tools if tool.name == intent.call), None)
    if tool is None:
        raise _error(located, path, f"unknown tool {intent.call!r}")
    if not intent.reply:
        raise _error(located, path, f"intent {name!r} makes a call but has no reply")
    properties = tool.parameters.get("properties", {})
    for key in tool.parameters.get("required", ()):
        if properties[key].get("type") == "array":
            if scenario.object is None or not any(
                isinstance(part, RuleRef) and part.name in scenario.object.say
                for part in grammar.with_rules(intent.say, scenario.all_rules)
            ):
                raise _error(located, path, f"{tool.name} wants {key!r}, but nobody says an object")
        elif key not in said:
            raise _error(located, path, f"{tool.name} wants {key!r}, which no caller says here")


def _try_out(scenario: Scenario, located: Located) -> None:
    """Say every intent some times: what is optional for callers may be needed for a reply."""
    rng = random.Random(0)
    adding = [name for name, intent in scenario.intents.items() if intent.effect == "add"]
    for name in scenario.intents:
        for _ in range(_TRIALS):
            first = scenario.say(rng.choice(adding), rng) if adding else Spoken()
            spoken = scenario.say(name, rng)
            try:
                call = scenario.call(name, spoken.slots, spoken.items)
                if call is not None:
                    scenario.call_vocabulary.encode(call)
                held = [dict(item) for item in spoken.items or first.items or [first.slots]]
                scenario.reply(name, spoken.slots, spoken.items, held, rng)
            except ScenarioError as problem:
                words = grammar.join(spoken.tokens)
                raise _error(
                    located, ("intents", name), f"when a caller says {words!r}: {problem}"
                ) from None


def _slots_said(scenario: Scenario, node: Node) -> set[str]:
    parts = grammar.with_rules(node, scenario.all_rules)
    return {part.name for part in parts if isinstance(part, SlotRef)}


def _needed(node: Node) -> set[str]:
    """Slots without which the template cannot be said at all."""
    match node:
        case SlotRef(name, None):
            return {name}
        case grammar.Sequence_(parts) | grammar.Shuffle(parts):
            return set[str]().union(*(_needed(part) for part in parts))
        case grammar.Choice(options):
            return set[str].intersection(*(_needed(option) for option in options))
        case Maybe():
            return set()
        case _:
            return set()
