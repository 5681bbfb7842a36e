"""Run a command that ends when its parent does, even when the parent is killed with -9.

Run as a script, by path: ``python -I -S tether.py PARENT_PID COMMAND [ARGUMENT …]``. It asks the
kernel to kill this process when the parent ends (Linux, ``PR_SET_PDEATHSIG``) and becomes the
command. It imports nothing of the project, so that starting a child costs milliseconds.

SIGKILL, not SIGTERM: journal, broker and databases are made to survive it, and nothing can ignore
it. Elsewhere than on Linux the command simply runs; the next start reports what was left behind.
"""

import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main() -> None:
    parent, command = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        import ctypes

        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
            sys.exit(f"tether: prctl: {os.strerror(ctypes.get_errno())}")
        if os.getppid() != parent:  # it ended before the kernel knew
            sys.exit("tether: the parent is gone")
    os.execvp(command[0], command)  # noqa: S606  # becoming the command is this file's purpose


if __name__ == "__main__":
    main()
