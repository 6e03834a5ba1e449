"""For tests: what access an integration has to the machine it runs on."""

import encodings.idna  # Of `socket`: what is not imported while the component is built is not there when it runs.
import os
import socket
import sys

from wit_world.imports import log
from wit_world.imports.log import Level


def probe(address: str | None) -> None:
    """Looks for files, environment, input and sockets, and logs what is found. Does nothing without an address."""
    if not address:
        return
    host, port = address.rsplit(":", 1)
    attempts = {
        "the environment": lambda: dict(os.environ),
        "the root folder": lambda: os.listdir("/"),
        "this folder": lambda: os.listdir("."),
        "a file": lambda: open("/etc/passwd").read(),
        "a file to write": lambda: open("/tmp/probe", "w").write("x"),
        "input": lambda: sys.stdin.read(),
        "arguments": lambda: sys.argv[1:],
        "a name": lambda: socket.getaddrinfo("localhost", None),
        "a connection": lambda: socket.create_connection((host, int(port)), timeout=1),
        "a listener": lambda: socket.create_server(("127.0.0.1", 0)),
    }
    found = {}
    for name, attempt in attempts.items():
        try:
            result = attempt()
            if result:
                found[name] = result
        except Exception as error:
            log.write(Level.DEBUG, f"probe: {name}: {error!r}")
    log.write(Level.INFO, f"probe: FOUND {found}" if found else "probe: nothing")
