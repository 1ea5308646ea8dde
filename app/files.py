"""Open files, of which each connection is one: how many connections they allow."""

import resource
from contextlib import suppress

KEPT = 2560  # files for the rest: the database, Redis, guests, and a queue (2048) that comes in all at once
MOST = 10_000  # connections, unless more are asked for


def room(wanted: int) -> int:
    """How many connections may be open: as many as wanted, or MOST where that is 0, as far as files allow.

    The soft limit is raised as far as is needed and may be: it is low for the sake of programs that use select().
    """
    most = wanted or MOST
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return most
    needed = most + KEPT
    if soft < needed:
        raised = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, raised), hard))
            soft = max(soft, raised)
    return max(1, min(most, soft - min(KEPT, soft // 2)))
