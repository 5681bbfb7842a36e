"""Write the boards that Grafana is provisioned with, or check that they are as the code gives them.

example:
  python -m dashboards --console-url https://ioc.khanhhoa.gov.vn --out /var/lib/ioc/boards
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from dashboards.provisioning import PROVISIONING, provisioned
from dashboards.registry import FOLDER, differing, drawn, write
from dashboards.setting import CONSOLE_URL, settings
from ioc.errors import IocError


def main(arguments: Sequence[str] | None = None) -> int:
    """The command. Returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m dashboards",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--check", action="store_true", help="write nothing; fail where files differ"
    )
    parser.add_argument(
        "--province", default="khanh-hoa", help="a file of provinces/ (%(default)s)"
    )
    parser.add_argument(
        "--console-url", default=CONSOLE_URL, help="where links to alarms lead (%(default)s)"
    )
    parser.add_argument(
        "--map-tiles",
        default="",
        metavar="URL",
        help="a tile server, https://…/{z}/{x}/{y}.png, for the map's background (none)",
    )
    parser.add_argument(
        "--out", type=Path, default=FOLDER, help="the folder of boards (dashboards/grafana/boards)"
    )
    parser.add_argument(
        "--provisioning",
        type=Path,
        default=None,
        help="the folder of provisioning files (dashboards/grafana/provisioning; with another "
        "--out none are written)",
    )
    options = parser.parse_args(arguments)
    try:
        files = drawn(
            province=options.province, console_url=options.console_url, map_tiles=options.map_tiles
        )
    except IocError as error:
        print(f"dashboards: {error}", file=sys.stderr)
        return 1
    written = [(files, options.out, "*/*.json")]
    folder = options.provisioning or (PROVISIONING if options.out == FOLDER else None)
    if folder is not None:
        on = settings(province=options.province, console_url=options.console_url)["vi"]
        written.append((provisioned(on), folder, "*/*.yaml"))
    if options.check:
        faults = [
            fault
            for some, place, pattern in written
            for fault in differing(some, place, pattern=pattern)
        ]
        for fault in faults:
            print(f"dashboards: {fault}", file=sys.stderr)
        if faults:
            print("dashboards: run python -m dashboards and commit", file=sys.stderr)
        return 1 if faults else 0
    changed = [
        file for some, place, pattern in written for file in write(some, place, pattern=pattern)
    ]
    for file in changed:
        print(f"dashboards: {file}")
    print(f"dashboards: {sum(len(some) for some, *_ in written)} files, {len(changed)} changed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
