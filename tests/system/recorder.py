"""Listeners that remember: what was sent to a port, and whether anybody came at all."""

import socket
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field


@dataclass
class Recorded:
    """What has come in: the connections, and every byte of them."""

    port: int
    connections: int = 0
    received: bytes = field(default=b"", repr=False)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def recording(target: int | None = None) -> Generator[Recorded]:
    """A port that hands everything on to another, or hangs up at once where there is none."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        recorded = Recorded(listener.getsockname()[1])
        threading.Thread(target=_accept, args=(listener, recorded, target), daemon=True).start()
        yield recorded


def _accept(listener: socket.socket, recorded: Recorded, target: int | None) -> None:
    with suppress(OSError):  # the listener is closed
        while True:
            client, _ = listener.accept()
            recorded.connections += 1
            if target is None:
                client.close()
                continue
            server = socket.create_connection(("127.0.0.1", target))
            for source, sink, note in ((client, server, recorded), (server, client, None)):
                threading.Thread(target=_pipe, args=(source, sink, note), daemon=True).start()


def _pipe(source: socket.socket, sink: socket.socket, recorded: Recorded | None) -> None:
    with suppress(OSError), source, sink:
        while data := source.recv(65_536):
            if recorded is not None:
                recorded.received += data
            sink.sendall(data)
