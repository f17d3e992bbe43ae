"""A worker does not outlive its supervisor: nobody would replace it or stop it, and it would hold the port."""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def end_with_parent() -> None:
    """On Linux the kernel sends this process SIGTERM when the parent's thread that started it ends, however it ends.
    Elsewhere, and for a parent that is gone already, nothing happens: ask `is_orphan` from time to time."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def is_orphan(parent: int) -> bool:
    """Whether `parent`, a process's number or 0 for none, has ended: its children are somebody else's by then."""
    return parent not in (0, os.getppid())
