"""Ports: free ones on loopback."""

import secrets
import socket

LOOPBACK = "127.0.0.1"
# Below what systems give to outgoing connections (from 32768 on Linux): else, while a server is down, a client
# that tries again could be given the server's own port, and be connected to itself.
PORTS = range(15_000, 32_000)


def free_port() -> int:
    """Give a TCP port of loopback that nobody listens on at this moment."""
    while True:
        port = PORTS[secrets.randbelow(len(PORTS))]
        with socket.socket() as probe:
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
            return port
