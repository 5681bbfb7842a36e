"""`ioc doctor`."""

from __future__ import annotations

import json
import os
import platform
import shutil
import socket
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer

Verdict = Literal["ok", "note", "wrong"]
SIGNS: dict[Verdict, str] = {"ok": "ok   ", "note": "note ", "wrong": "WRONG"}
GIB = 2**30


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One line of the screen: what was looked at, what was found, what to do about it."""

    subject: str
    verdict: Verdict
    found: str
    remedy: str = ""


def run(
    data_dir: Annotated[Path, typer.Option(help="The data folder to look at.")] = Path(".ioc"),
) -> None:
    """What is missing or wrong, on one screen. Exit code 1 when something is wrong.

    Example: ioc doctor --data-dir .ioc
    """
    findings = [*_machine(), *_data(data_dir), *_running(data_dir)]
    width = max(len(finding.subject) for finding in findings)
    for finding in findings:
        typer.echo(f"{SIGNS[finding.verdict]}  {finding.subject:<{width}}  {finding.found}")
        if finding.remedy:
            typer.echo(f"       {'':<{width}}  → {finding.remedy}")
    wrong = sum(finding.verdict == "wrong" for finding in findings)
    typer.echo(f"\n{wrong} wrong" if wrong else "\nNothing is wrong.")
    if wrong:
        raise typer.Exit(1)


def _machine() -> Iterator[Finding]:
    from ioc.errors import ConfigError, FileError

    current = sys.version_info >= (3, 11)
    yield Finding(
        subject="python",
        verdict="ok" if current else "wrong",
        found=platform.python_version(),
        remedy="" if current else "Python 3.11 or newer is needed",
    )
    from ioc.up.broker import nats_server

    try:
        yield Finding(subject="nats-server", verdict="ok", found=str(nats_server()))
    except ConfigError as error:
        yield Finding(
            subject="nats-server",
            verdict="note",
            found="not found; only `ioc up` needs it",
            remedy=str(error).split("; ")[-1],
        )
    from ioc.catalog import load_catalog

    try:
        catalog = load_catalog()
        yield Finding(
            subject="catalog",
            verdict="ok",
            found=f"{len(catalog.kinds)} kinds, {len(catalog.rules)} rules, {catalog.version}",
        )
    except FileError as error:
        for fault in error.faults:
            yield Finding(subject="catalog", verdict="wrong", found=fault)
    from ioc.resources import console_folder

    console = console_folder()
    built = console is not None
    yield Finding(
        subject="console",
        verdict="ok" if built else "wrong",
        found=str(console) if built else "not built",
        remedy="" if built else "run scripts/build-console",
    )
    sender = shutil.which("mosquitto_pub")
    yield Finding(
        subject="mosquitto_pub",
        verdict="ok" if sender else "note",
        found=sender or "not found; only the README's examples use it",
        remedy="" if sender else "on Debian: apt-get install mosquitto-clients",
    )


def _data(folder: Path) -> Iterator[Finding]:
    place = folder if folder.exists() else folder.absolute().parent
    writable = place.is_dir() and os.access(place, os.W_OK)
    yield Finding(
        subject="data folder",
        verdict="ok" if writable else "wrong",
        found=f"{folder} ({'exists' if folder.exists() else 'is made at the first start'})"
        if writable
        else f"{folder}: cannot be written",
        remedy="" if writable else "choose another with --data-dir",
    )
    if not writable:
        return
    free = shutil.disk_usage(place).free
    enough = free > 2 * GIB
    yield Finding(
        subject="disk",
        verdict="ok" if enough else "wrong",
        found=f"{free / GIB:.1f} GiB free",
        remedy="" if enough else "admission stops at the reserve; free some space",
    )
    token = folder / "admin.token"
    if token.exists() and token.stat().st_mode & 0o077:
        yield Finding(
            subject="admin token",
            verdict="wrong",
            found=f"{token}: others can read it",
            remedy=f"chmod 600 {token}",
        )


def _running(folder: Path) -> Iterator[Finding]:
    run_file = folder / "run.json"
    if not run_file.exists():
        yield Finding(subject="service", verdict="note", found="not running here (no run.json)")
        return
    try:
        where = json.loads(run_file.read_text(encoding="utf-8"))
        url, host, port = str(where["http_url"]), str(where["mqtt_host"]), int(where["mqtt_port"])
    except (OSError, ValueError, KeyError) as error:
        yield Finding(subject="run.json", verdict="wrong", found=f"{run_file}: {error!r}")
        return
    try:
        socket.create_connection((host, port), timeout=2).close()
        yield Finding(subject="broker", verdict="ok", found=f"{host}:{port} answers")
    except OSError as error:
        yield Finding(subject="broker", verdict="wrong", found=f"{host}:{port}: {error.strerror}")
    ready = _readiness(url)
    if isinstance(ready, str):
        yield Finding(
            subject="service",
            verdict="wrong",
            found=f"{url}: {ready}",
            remedy=f"start it, or remove {run_file} if nothing runs",
        )
        return
    for name, stage in ready.get("stages", {}).items():
        well = bool(stage.get("ready"))
        lag = f"{stage.get('behind', 0)} behind, {stage.get('lag_s', 0):.1f} s"
        yield Finding(
            subject=f"stage {name}",
            verdict="ok" if well else "wrong",
            found=f"{stage.get('state')}, {lag}",
            remedy="" if well else str(stage.get("last_error") or stage.get("note") or ""),
        )


def _readiness(url: str) -> dict[str, dict[str, dict[str, float]]] | str:
    """The answer of /readyz, or why there is none."""
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=5) as answer:  # noqa: S310  # run.json
            return dict(json.load(answer))
    except urllib.error.HTTPError as error:  # 503: not ready, and says which stage
        try:
            return dict(json.load(error))
        except ValueError:
            return f"HTTP {error.code}"
    except (OSError, ValueError) as error:
        return str(error)
