"""Who may read what: asked of the kernel, by reading as that user."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from ioc.deploy.private import Owner

AS_ROOT = os.geteuid() == 0


def can_read(path: Path, who: Owner) -> bool:
    """Whether a user without further groups reads a file. Only root may ask."""
    done = subprocess.run(
        ["/bin/cat", str(path)],
        user=who.uid,
        group=who.gid,
        extra_groups=[],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=False,
    )
    return done.returncode == 0
