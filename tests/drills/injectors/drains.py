"""Drains: the worker of a stack, killed in the midst of one."""

import contextlib
import subprocess
from collections.abc import Iterator, Mapping
from functools import partial

from app.spool import ENTRIES
from tests.compose.stack import Stack, StackError, eventually
from tests.drills.injectors.containers import back, kill, psql, verb
from tests.drills.rig import Verb
from tests.engine import EngineError, Existing, docker

LOCK = "BEGIN; LOCK TABLE events IN ACCESS EXCLUSIVE MODE;\n"
HELD = "SELECT 1 FROM pg_locks WHERE relation = 'events'::regclass AND mode = 'AccessExclusiveLock' AND granted"
WAITING = """SELECT 1 FROM pg_stat_activity
    WHERE application_name = 'collector writer' AND wait_event_type = 'Lock' AND host(client_addr) = '{}'"""
ADDRESSES = "--format={{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"  # one: the worker has one network


def of_worker(stack: Stack) -> Mapping[str, Verb]:
    """What can be done to the worker."""
    return {"kill": verb(kill, stack.container("worker")), "kill-draining": verb(kill_draining, stack)}


def kill_draining(stack: Stack, lasts: float) -> str | None:
    """SIGKILL in the midst of a drain's transaction; to be begun while PostgreSQL is away and the spool fills.

    It is frozen until PostgreSQL is back and the log is locked, so that its drain waits inside of its statement.
    """
    worker = stack.container("worker")
    before, restarts = int(worker.state["Pid"]), worker.restarts
    docker("pause", worker.name)
    eventually(partial(_answers, stack))
    with _locked(stack):
        left = int(stack.compose("exec", "--no-TTY", "redis", "redis-cli", "XLEN", ENTRIES))
        docker("unpause", worker.name)
        caught = eventually(partial(_waits, stack, worker))
        docker("pause", worker.name)  # there it stays, however long a kill takes
        worker.kill_from_the_host()
        with contextlib.suppress(EngineError):  # some kernels let the dead out by themselves
            docker("unpause", worker.name)
    seen = back(worker, before, restarts)
    return f"{seen}; {left} entries waited" if seen and caught and left else None


def _answers(stack: Stack) -> bool:
    try:
        return psql(stack, "SELECT 1").strip() == "1"
    except StackError:
        return False


def _waits(stack: Stack, worker: Existing) -> bool:
    return bool(psql(stack, WAITING.format(docker("inspect", ADDRESSES, worker.name))))


@contextlib.contextmanager
def _locked(stack: Stack) -> Iterator[None]:
    """Hold a lock on the log that every write needs, until psql has no more to read."""
    postgres = stack.container("postgres").name
    command = ["docker", "exec", "--interactive", postgres, "psql", "--username=collector"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as session:
        assert session.stdin is not None
        session.stdin.write(LOCK)
        session.stdin.flush()
        eventually(lambda: psql(stack, HELD))
        yield
        session.stdin.close()
