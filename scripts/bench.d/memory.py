"""Resident memory of a fresh proxy: idle, and while many clients hold connections that they do not use."""

import contextlib
import resource
import selectors
import socket
import time

HEAD_END = b"\r\n\r\n"
# So many requests are under way at once, so that the upstream pool stays as small as in daily use.
BATCH = 64
SETTLING = 1.0


class HeldClients:
    """Open client connections to one proxy, until the `with` block ends."""

    def __init__(self, port, count):
        """Opens `count` connections. Raises OSError."""
        self.port = port
        self.sockets = []
        with contextlib.ExitStack() as undo:
            undo.callback(self.close)
            for _ in range(count):
                self.sockets.append(socket.create_connection(("127.0.0.1", port), timeout=10))
            undo.pop_all()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Lets all of them go."""
        for held in self.sockets:
            held.close()
        self.sockets.clear()

    def ask_once(self, path):
        """Sends one request on each connection, reads its answer; returns how many were 200 and complete."""
        request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\n\r\n".encode()
        good = 0
        for start in range(0, len(self.sockets), BATCH):
            batch = self.sockets[start:start + BATCH]
            for held in batch:
                held.sendall(request)
            good += sum(read_answers(batch, seconds=20))
        return good

    def still_open(self):
        """How many the proxy has not closed."""
        with selectors.DefaultSelector() as selector:
            for held in self.sockets:
                selector.register(held, selectors.EVENT_READ)
            ready = {key.fileobj for key, _ in selector.select(0)}
        return len(self.sockets) - sum(1 for held in ready if peek(held) == b"")


def peek(held):
    """The next byte without taking it; empty when the other side has closed."""
    try:
        return held.recv(1, socket.MSG_PEEK)
    except OSError:
        return b""


def is_complete(answer):
    """Whether these bytes are a whole answer: by Content-Length, or by the last chunk."""
    head, found, body = answer.partition(HEAD_END)
    if not found:
        return False
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length":
            return len(body) >= int(value)
    return body.endswith(b"0\r\n\r\n")


def read_answers(batch, seconds):
    """For each socket, whether a complete 200 arrived within `seconds`."""
    answers = {held: b"" for held in batch}
    until = time.monotonic() + seconds
    with selectors.DefaultSelector() as selector:
        for held in batch:
            selector.register(held, selectors.EVENT_READ)
        while selector.get_map() and time.monotonic() < until:
            for key, _ in selector.select(1.0):
                try:
                    piece = key.fileobj.recv(65536)
                except OSError:
                    piece = b""
                answers[key.fileobj] += piece
                if not piece or is_complete(answers[key.fileobj]):
                    selector.unregister(key.fileobj)
    return [answer.startswith(b"HTTP/1.1 200") and is_complete(answer) for answer in answers.values()]


def affordable(wanted):
    """How many clients may be held: fewer than wanted where the file limit is low, with room for the rest."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return wanted if soft == resource.RLIM_INFINITY else max(0, min(wanted, soft - 200))


def measure(proxy, held, path):
    """Three figures in MiB: `idle`, `held` with that many silent clients, `asked` once each of them asked once."""
    time.sleep(SETTLING)
    figures = {"idle": proxy.process.rss_mib(), "clients": affordable(held)}
    with HeldClients(proxy.port, figures["clients"]) as clients:
        time.sleep(SETTLING)
        figures["held"] = proxy.process.rss_mib()
        figures["answered"] = clients.ask_once(path)
        time.sleep(SETTLING)
        figures["asked"] = proxy.process.rss_mib()
        figures["open"] = clients.still_open()
    return figures
