"""As many open files as a busy gateway needs, as far as the system lets it: each call takes two."""

import contextlib
import resource

ENOUGH = 65_536


def allow_enough() -> None:
    """Most systems give a program 1024 until it asks for more; from there on each new connection would be closed unheard."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = ENOUGH if hard == resource.RLIM_INFINITY else min(hard, ENOUGH)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    # A system may have a bound of its own below the one that it names.
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
