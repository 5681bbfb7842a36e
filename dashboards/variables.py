"""The choices at the top of a board. A variable that rows are chosen by bears the tag's name."""

from __future__ import annotations

from collections.abc import Sequence

from grafana_foundation_sdk.models import dashboard as model

from dashboards.ask import RAW, SOURCE, Tags, tag_values
from dashboards.setting import Setting

# Custom variables: "text : value", separated by commas.
_ALL = "$__all"
_EVERYTHING = ".*"


def communes(on: Setting) -> model.VariableModel:
    """Communes by name, from the province's file; several may be chosen."""
    named = sorted(on.province.communes, key=lambda commune: commune.short_name)
    return _custom(
        "commune",
        on.say(vi="Xã, phường", en="Commune"),
        [(commune.name, commune.code) for commune in named],
        everything=on,
    )


def kinds(on: Setting) -> model.VariableModel:
    """Kinds of asset by the catalog's titles; several may be chosen."""
    return _custom(
        "kind",
        on.say(vi="Loại", en="Kind"),
        [(on.of(kind.title), name) for name, kind in on.catalog.kinds.items()],
        everything=on,
    )


def operators(on: Setting, *, measurement: str = "bts") -> model.VariableModel:
    """Operators that have an asset of a kind; several may be chosen."""
    return query(
        "operator",
        on.say(vi="Nhà mạng", en="Operator"),
        tag_values(on, measurement, "operator"),
        everything=True,
    )


def assets(on: Setting, measurement: str, *, label: str, tags: Tags) -> model.VariableModel:
    """One asset of a kind, among those that the other variables leave."""
    return query("asset", label, tag_values(on, measurement, "asset", tags=tags))


def resolutions(on: Setting, *, chosen: str = RAW) -> model.VariableModel:
    """Raw series, or means over 5 minutes or an hour, which are kept longer. ``chosen`` is the
    value at the start: ``RAW``, "_5m" or "_1h"."""
    return _custom(
        "resolution",
        on.say(vi="Độ phân giải", en="Resolution"),
        [
            (on.say(vi="Gốc (30 ngày)", en="As measured (30 days)"), RAW),
            (on.say(vi="5 phút (1 năm)", en="5 min (1 year)"), "_5m"),
            (on.say(vi="1 giờ (5 năm)", en="1 h (5 years)"), "_1h"),
        ],
        chosen=chosen,
    )


def console(on: Setting) -> model.VariableModel:
    """Where the console is, for links: ``${console}``. Hidden."""
    url = on.console_url
    return model.VariableModel(
        type_val=model.VariableType.CONSTANT,
        name="console",
        query=url,
        current=model.VariableOption(text=url, value=url),
        hide=model.VariableHide.HIDE_VARIABLE,
        skip_url_sync=True,
    )


def query(
    name: str, label: str, text: str, *, everything: bool = False, hidden: bool = False
) -> model.VariableModel:
    """A variable whose values InfluxDB gives, asked for when the board is opened."""
    return model.VariableModel(
        type_val=model.VariableType.QUERY,
        name=name,
        label=label,
        query=text,
        datasource=SOURCE,
        refresh=model.VariableRefresh.ON_DASHBOARD_LOAD,
        sort=model.VariableSort.ALPHABETICAL_ASC,
        include_all=everything,
        multi=everything,
        all_value=_EVERYTHING if everything else None,
        current=model.VariableOption(text=["All"], value=[_ALL]) if everything else None,
        hide=model.VariableHide.HIDE_VARIABLE if hidden else None,
    )


def _custom(
    name: str,
    label: str,
    options: Sequence[tuple[str, str]],
    *,
    chosen: str = "",
    everything: Setting | None = None,
) -> model.VariableModel:
    """One value (``chosen``, or the first), or several and at the start all of them."""
    for text, value in options:
        if " : " in text or "," in text or "," in value:
            raise ValueError(f"variable {name}: {text!r} would not be read as it is written")
    variable = model.VariableModel(
        type_val=model.VariableType.CUSTOM,
        name=name,
        label=label,
        query=", ".join(f"{text} : {value}" for text, value in options),
    )
    listed = [model.VariableOption(text=text, value=value) for text, value in options]
    if everything is None:
        start = next((one for one in listed if one.value == chosen), listed[0])
        variable.current = start
    else:
        all_of_it = everything.say(vi="Tất cả", en="All")
        start = model.VariableOption(text=all_of_it, value=_ALL)
        listed.insert(0, start)
        variable.current = model.VariableOption(text=[all_of_it], value=[_ALL])
        variable.include_all = variable.multi = True
        variable.all_value = _EVERYTHING
    for one in listed:
        one.selected = one is start
    variable.options = listed
    return variable
