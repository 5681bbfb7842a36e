"""`ioc rules`: when a reading is an alarm."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Optional

import typer

from ioc.catalog import Catalog, Equals, Flapping, Kind, NoData, Rate, Rule, Threshold
from ioc.catalog.model import load_catalog
from ioc.errors import ConfigError

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def rules() -> None:
    """When a reading is an alarm.

    Example: ioc rules list --kind span

    Example: ioc rules show span-loss-of-signal

    Example: ioc rules check my-catalog/
    """


@app.command("list")
def list_rules(
    kind: Annotated[str, typer.Option(help="Only this kind of asset: bts, span, ups…")] = "",
) -> None:
    """All rules, by kind of asset.

    Example: ioc rules list --kind bts
    """
    from rich.console import Console
    from rich.table import Table

    catalog = load_catalog()
    if kind and kind not in catalog.kinds:
        raise ConfigError(
            f"--kind {kind!r}: not in the catalog, expected one of {', '.join(catalog.kinds)}"
        )
    # Wide enough for a whole row where there is no terminal to fit.
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 160)
    for name, found in catalog.kinds.items():
        if kind and name != kind:
            continue
        table = Table(title=f"{name} · {found.title.en} · {found.title.vi}", title_justify="left")
        for column in ("rule", "severity", "when", "for", "probable cause", "effect"):
            table.add_column(column, overflow="fold")
        for rule in found.rules:
            table.add_row(
                rule.id,
                rule.severity,
                describe(rule, found),
                f"{rule.for_s} s" if rule.for_s else "",
                rule.probable_cause,
                "" if rule.effect == "none" else rule.effect,
            )
        console.print(table)


@app.command()
def show(rule: Annotated[str, typer.Argument(help="The rule's id.")]) -> None:
    """One rule with its texts, proposed repair and source.

    Example: ioc rules show bts-low-battery
    """
    catalog = load_catalog()
    kind_name, found = _find(catalog, rule)
    kind = catalog.kinds[kind_name]
    lines = {
        "rule": found.id,
        "kind": f"{kind_name} ({kind.title.en}, {kind.title.vi})",
        "raised": describe(found, kind) + (f", for {found.for_s} s" if found.for_s else ""),
        "cleared": _cleared(found, kind),
        "severity": found.severity,
        "event type": found.event_type,
        "cause": found.probable_cause,
        "effect": found.effect + (", isolates what depends on it" if found.isolates else ""),
        "shared by": found.shared_by or "",
        "text": f"{found.text.en}\n{found.text.vi}",
        "repair": f"{found.action.en}\n{found.action.vi}",
        "source": found.source,
    }
    for name, text in lines.items():
        for place, line in enumerate(text.splitlines()):
            sys.stdout.write(f"{name if place == 0 else '':<11} {line}\n")


@app.command()
def check(
    folder: Annotated[
        Optional[Path], typer.Argument(help="A folder of catalog files; the built-in ones if left.")
    ] = None,
) -> None:
    """Read catalog files and name every fault with file and line. Exit code 1 if there is any.

    Example: ioc rules check my-catalog/
    """
    catalog = load_catalog(folder)
    sys.stdout.write(
        f"{len(catalog.rules)} rules, {len(catalog.kinds)} kinds, "
        f"{len(catalog.domains)} domains: no fault (version {catalog.version})\n"
    )


def describe(rule: Rule, kind: Kind) -> str:
    """The rule's condition in words."""
    when = rule.when
    match when:
        case Threshold():
            unit = _unit(kind, when.metric)
            if when.above is not None:
                return f"{when.metric} above {when.above:g}{unit}"
            return f"{when.metric} below {when.below:g}{unit}"
        case Equals():
            return f"{when.metric} is {_word(when.equals)}"
        case Rate():
            unit = _unit(kind, when.metric)
            if when.rate_above_per_min is not None:
                return f"{when.metric} rises over {when.rate_above_per_min:g}{unit} a minute"
            return f"{when.metric} falls under {when.rate_below_per_min:g}{unit} a minute"
        case NoData():
            silent_s = when.no_data_cadences * kind.shortest_cadence_s
            return f"no data for {silent_s} s"
        case Flapping():
            return f"{when.metric} changes {when.changes} times in {when.within_s} s"


def _cleared(rule: Rule, kind: Kind) -> str:
    when = rule.when
    after = f" for {rule.clear_for_s} s" if rule.clear_for_s else ""
    match when:
        case Threshold():
            unit = _unit(kind, when.metric)
            if when.above is not None:
                edge = when.above if when.clear_below is None else when.clear_below
                return f"{when.metric} below {edge:g}{unit}{after}"
            low = when.below if when.clear_above is None else when.clear_above
            return f"{when.metric} above {low:g}{unit}{after}"
        case NoData():
            return f"data comes again{after}"
        case _:
            return f"no longer so{after}"


def _unit(kind: Kind, metric: str) -> str:
    unit = kind.metrics[metric].unit
    return "" if unit == "1" else f" {unit}"


def _word(value: bool | str) -> str:
    return value if isinstance(value, str) else ("true" if value else "false")


def _find(catalog: Catalog, rule: str) -> tuple[str, Rule]:
    import difflib

    if rule in catalog.rules:
        return catalog.rules[rule]
    near = difflib.get_close_matches(rule, catalog.rules, n=3, cutoff=0.4)
    hint = f"; close to it are {', '.join(near)}" if near else "; see ioc rules list"
    raise ConfigError(f"rule {rule!r}: no such rule{hint}")
