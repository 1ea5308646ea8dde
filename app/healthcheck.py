"""`collector healthcheck`: asks a process of this machine whether it can keep an event. http.client.

For what can run a command and nothing more: an image's HEALTHCHECK, a timer of systemd.
"""

import http.client
import ipaddress
from collections.abc import Callable

TIMEOUT = 2.0  # seconds; /readyz answers from memory
READY = 200


def check(host: str, port: int, say: Callable[[str], None]) -> int:
    """Ask /readyz of what listens there. Says what it hangs on; the exit code is 0 for ready, else 1."""
    connection = http.client.HTTPConnection(_reachable(host), port, timeout=TIMEOUT)
    try:
        connection.request("GET", "/readyz?verbose")
        answer = connection.getresponse()
        say(answer.read().decode(errors="replace").strip())
    except (OSError, http.client.HTTPException) as error:
        say(f"no answer from port {port}: {error or type(error).__name__}")
        return 1
    finally:
        connection.close()
    return 0 if answer.status == READY else 1


def _reachable(host: str) -> str:
    """Where to find one that listens on this address: all addresses are none to connect to."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if not address.is_unspecified:
        return host
    return "127.0.0.1" if address.version == 4 else "::1"
