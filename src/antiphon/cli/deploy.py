"""`antiphon deploy`: which versions answer a server's calls, and how they do."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from antiphon.cli.options import Json
from antiphon.cli.store_options import AuditKey, Url, Where, opened

if TYPE_CHECKING:
    from collections.abc import Callable

    from antiphon.serving.deploy.control import Control
    from antiphon.serving.deploy.plan import Plan, Version
    from antiphon.serving.deploy.verdict import Verdict
    from antiphon.serving.store import Store

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    help="Versions of an agent in one server: show them, give them a share, promote, roll back.",
)

Name = Annotated[str, typer.Argument(help="The version's name: small letters, digits and _.")]
Reason = Annotated[str, typer.Option(help="Why; it is kept in the audit log.")]


@app.command()
def show(
    store: Where = None,
    url: Url = None,
    audit_key: AuditKey = None,
    as_json: Json = False,
) -> None:
    """The versions, their shares, what their calls come to, and the last changes.

    Examples:

        antiphon deploy show

        antiphon deploy show --store /srv/calls --json | jq .verdicts
    """
    with opened(store, url, audit_key) as there:
        from antiphon.serving.deploy.control import Control

        control = Control(there)
        plan = control.read()
        if plan is None:
            if as_json:
                typer.echo(json.dumps({"plan": None}))
            else:
                typer.echo(
                    "There is no plan: the server's own agent answers every call. Make one with "
                    "antiphon deploy set NAME --bundle BUNDLE --reason ..."
                )
            return
        verdicts, history = control.verdicts(plan), control.history()
        counts = _counts(control, plan)
    if as_json:
        found = {
            "plan": plan.model_dump(mode="json"),
            "calls": counts,
            "verdicts": {name: each.model_dump() for name, each in verdicts.items()},
            "history": history,
        }
        typer.echo(json.dumps(found, indent=1))
        return
    _print(plan, counts, verdicts)
    for entry in history[:5]:
        typer.echo(
            f"{entry['time'][:19]}  {entry['actor']:<9} {entry['action']:<19} "
            f"{entry.get('reason', '')}"
        )


@app.command("set")
def set_(
    name: Name,
    reason: Reason,
    bundle: Annotated[
        str | None,
        typer.Option("--bundle", "-b", help="The bundle: its name or folder; or cascade."),
    ] = None,
    share: Annotated[
        float | None,
        typer.Option(min=0.0, max=1.0, help="Of the calls, 0 to 1; the baseline gives it up."),
    ] = None,
    shadow: Annotated[
        bool | None,
        typer.Option("--shadow/--no-shadow", help="It hears callers and is only recorded."),
    ] = None,
    confidence: Annotated[
        float | None, typer.Option(help="With which a version must be behind to be taken back.")
    ] = None,
    automatic: Annotated[
        bool | None,
        typer.Option("--automatic/--by-hand", help="Whether servers take versions back."),
    ] = None,
    store: Where = None,
    url: Url = None,
    audit_key: AuditKey = None,
) -> None:
    """Bring in a version, or change one. The first of all is the baseline and answers every call.

    A running server follows within seconds; calls that go on stay where they are.

    Examples:

        antiphon deploy set stable --bundle cafe --reason "what is served now"

        antiphon deploy set next --bundle runs/new --share 0.05 --reason "trained on May's calls"

        antiphon deploy set next --share 0.25 --reason "500 calls, nothing found"

        antiphon deploy set big --bundle runs/big --shadow --share 0.5 --reason "is it better?"

        antiphon deploy set modular --bundle cascade --shadow --share 0.1 --reason "to compare"
    """
    from antiphon.bundle import find, load
    from antiphon.errors import AntiphonError
    from antiphon.serving.deploy.plan import CASCADE

    _needs(reason)
    if bundle == CASCADE:
        import_module("antiphon.cascade")  # says what is missing where it is not installed
    elif bundle is not None:
        folder = find(bundle)
        load(folder)  # a broken one is known now, and not by the server
        bundle = bundle if folder != Path(bundle) else str(folder.resolve())
    with opened(store, url, audit_key) as there:
        from pydantic import ValidationError

        from antiphon.serving.deploy.control import Control
        from antiphon.serving.deploy.plan import Plan, PlanError, first, with_version

        def make(plan: Plan | None) -> Plan:
            if plan is None:
                if bundle is None:
                    raise PlanError(f"there is no plan yet; {name} needs a --bundle")
                if shadow or share not in (None, 1.0):
                    raise PlanError(
                        f"{name} is the first version and answers every call; leave out --share "
                        "and --shadow"
                    )
                made = first(name, bundle, reason)
            else:
                made = with_version(plan, name, reason, bundle=bundle, share=share, shadow=shadow)
            wanted = {"confidence": confidence, "automatic": automatic}
            given = {key: value for key, value in wanted.items() if value is not None}
            thresholds = {**made.thresholds.model_dump(), **given}
            return Plan.model_validate({**made.model_dump(), "thresholds": thresholds})

        try:
            plan = Control(there).change(make, action="deploy.set", actor="operator")
        except ValidationError as error:
            wrong = error.errors(include_url=False)[0]
            raise AntiphonError(
                f"{'.'.join(map(str, wrong['loc']))}: {wrong['msg'].removeprefix('Value error, ')}"
            ) from None
    _say(plan)


@app.command()
def promote(
    name: Name,
    reason: Reason,
    store: Where = None,
    url: Url = None,
    audit_key: AuditKey = None,
) -> None:
    """Make a version the baseline: it answers every call.

    Examples:

        antiphon deploy promote next --reason "2,000 calls, fewer repeats"
    """
    from antiphon.serving.deploy.plan import promoted

    with opened(store, url, audit_key) as there:
        _move(there, name, reason, promoted, "deploy.promoted")


@app.command()
def rollback(
    name: Name,
    reason: Reason,
    store: Where = None,
    url: Url = None,
    audit_key: AuditKey = None,
) -> None:
    """Take a version out of service: the baseline answers its calls from now on.

    Examples:

        antiphon deploy rollback next --reason "complaints about prices"
    """
    from antiphon.serving.deploy.plan import rolled_back

    with opened(store, url, audit_key) as there:
        _move(there, name, reason, rolled_back, "deploy.rolled_back")


def _move(
    there: Store, name: str, reason: str, move: Callable[[Plan, str, str], Plan], action: str
) -> None:
    """Change the part that a version has in the plan that is there, and say what came of it."""
    from antiphon.serving.deploy.control import Control

    _needs(reason)
    _say(
        Control(there).change(
            lambda plan: move(_there(plan), name, reason), action=action, actor="operator"
        )
    )


def _needs(reason: str) -> None:
    from antiphon.errors import AntiphonError

    if not reason.strip() or len(reason) > 500:
        raise AntiphonError("--reason: say why in 1 to 500 letters; it is kept in the audit log")


def _there(plan: Plan | None) -> Plan:
    from antiphon.errors import AntiphonError

    if plan is None:
        raise AntiphonError("there is no plan; make one with antiphon deploy set")
    return plan


def _counts(control: Control, plan: Plan) -> dict[str, int]:
    """Finished calls by version since the plan's oldest version began."""
    counts = {version.name: 0 for version in plan.versions}
    for outcome in control.outcomes(plan):
        if outcome.version in counts:
            counts[outcome.version] += 1
    return counts


def _say(plan: Plan) -> None:
    shares = ", ".join(
        f"{version.name} {'hears' if version.shadow else 'answers'} {version.share:.0%}"
        for version in plan.versions
        if version.share
    )
    typer.echo(f"Plan {plan.revision}: {shares}.")


def _print(plan: Plan, counts: dict[str, int], verdicts: dict[str, Verdict]) -> None:
    console = Console()
    table = Table("version", "bundle", "part", "share", "calls", "verdict")
    answered = sum(counts[version.name] for version in plan.answering)
    for version in plan.versions:
        calls = counts[version.name]
        of = f" ({calls / answered:.0%})" if answered and not version.shadow else ""
        verdict = verdicts.get(version.name)
        table.add_row(
            version.name,
            version.bundle,
            _part(plan, version),
            f"{version.share:.0%}",
            f"{calls}{of}",
            version.rolled_back or (verdict.sentence() if verdict is not None else ""),
        )
    console.print(table, highlight=False, markup=False)
    for name, verdict in verdicts.items():
        found = [
            f"{figure} {_percent(each.candidate.value)} : {_percent(each.baseline.value)}"
            for figure, each in verdict.figures.items()
            if each.candidate.n and (each.candidate.value or each.baseline.value)
        ]
        if found:
            console.print(
                f"{name} : {plan.baseline}, share of calls: {', '.join(found)}",
                highlight=False,
                markup=False,
            )


def _part(plan: Plan, version: Version) -> str:
    if version.rolled_back is not None:
        return "rolled back"
    if version.shadow:
        return "shadow"
    return "baseline" if version.name == plan.baseline else "canary" if version.share else "resting"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"
