"""Ports for programs that must be told theirs before they start."""

import os
import socket


def free_ports(count):
    """Ports below the range from which the system takes those of outgoing connections, so that none is taken meanwhile."""
    found = []
    first = 10_000 + os.getpid() * 7 % 9_000
    for port in range(first, first + 1_000):
        with socket.socket() as probe:
            # A process that is started at this moment has the probe for a while; it must not be in the way of who binds next.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.append(port)
        if len(found) == count:
            return found
    raise AssertionError("no free port")
