"""Write the boards that Grafana is provisioned with, or check that they are as the code gives them.

example:
  python -m dashboards --console-url https://ioc.khanhhoa.gov.vn --out /var/lib/ioc/boards
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from dashboards.registry import FOLDER, differing, drawn, write
from dashboards.setting import CONSOLE_URL
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
        "--out", type=Path, default=FOLDER, help="the folder of boards (dashboards/grafana/boards)"
    )
    options = parser.parse_args(arguments)
    try:
        files = drawn(province=options.province, console_url=options.console_url)
    except IocError as error:
        print(f"dashboards: {error}", file=sys.stderr)
        return 1
    if options.check:
        faults = differing(files, options.out)
        for fault in faults:
            print(f"dashboards: {fault}", file=sys.stderr)
        if faults:
            print("dashboards: run python -m dashboards and commit", file=sys.stderr)
        return 1 if faults else 0
    changed = write(files, options.out)
    for file in changed:
        print(f"dashboards: {file}")
    print(f"dashboards: {len(files)} boards, {len(changed)} changed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
