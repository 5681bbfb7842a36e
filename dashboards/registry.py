"""Every board by name: a function of the setting. A new board is one line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from dashboards.alarms import alarms
from dashboards.board import Drawn
from dashboards.bts import bts
from dashboards.data_center import data_center
from dashboards.fibre import fibre
from dashboards.overview import overview
from dashboards.plan import plan
from dashboards.service import service
from dashboards.setting import CONSOLE_URL, Setting, settings

BOARDS: Mapping[str, Callable[[Setting], Drawn]] = {
    "overview": overview,
    "alarms": alarms,
    "bts": bts,
    "fibre": fibre,
    "data_center": data_center,
    "plan": plan,
    "service": service,
}
FOLDER = Path(__file__).parent / "grafana" / "boards"


def drawn(
    *, province: str = "khanh-hoa", console_url: str = CONSOLE_URL, map_tiles: str = ""
) -> dict[Path, str]:
    """The text of every board's file, by its path below the folder of boards: ``vi/plan.json``.

    The same code gives the same bytes. Raises ``IocError`` for a province that cannot be read.
    """
    files = {}
    found = settings(province=province, console_url=console_url, map_tiles=map_tiles)
    for language, on in found.items():
        for name, draw in BOARDS.items():
            path = Path(language) / f"{name}.json"
            files[path] = as_json(draw(on))
    return files


def as_json(board: Drawn) -> str:
    encoder = JSONEncoder(sort_keys=True, indent=2, ensure_ascii=False)
    return encoder.encode(board.dashboard) + "\n"


def differing(files: Mapping[Path, str], folder: Path, *, pattern: str = "*/*.json") -> list[str]:
    """What is not as the code gives it: a sentence for each file."""
    faults = []
    for path, text in sorted(files.items()):
        file = folder / path
        if not file.exists():
            faults.append(f"{file}: missing")
        elif file.read_text(encoding="utf-8") != text:
            faults.append(f"{file}: not what the code gives")
    faults += [
        f"{file}: no board of this name"
        for file in sorted(folder.glob(pattern))
        if file.relative_to(folder) not in files
    ]
    return faults


def write(files: Mapping[Path, str], folder: Path, *, pattern: str = "*/*.json") -> list[Path]:
    """Write the files that differ, remove those that no board gives. Returns what changed."""
    changed = []
    for path, text in sorted(files.items()):
        file = folder / path
        if not file.exists() or file.read_text(encoding="utf-8") != text:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
            changed.append(file)
    for file in sorted(folder.glob(pattern)):
        if file.relative_to(folder) not in files:
            file.unlink()
            changed.append(file)
    return changed
