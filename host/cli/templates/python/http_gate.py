"""HTTP through the host's gate, which sends only what integration.toml asks for and the operator grants.

`urllib` and `requests` need sockets, which no integration has; this speaks `wasi:http`.
"""

from urllib.parse import urlsplit

from componentize_py_types import Err, Ok
from wit_world.imports import outgoing_handler
from wit_world.imports.streams import StreamError_Closed
from wit_world.imports.types import Fields, IncomingResponse, OutgoingRequest, RequestOptions, Scheme_Http, Scheme_Https

# So long is the next part of an answer waited for, nanoseconds. The host ends the whole call after 5 s.
PATIENCE = 3_000_000_000

# The longest answer that is read, bytes.
LONGEST = 1 << 20


def get(url: str) -> tuple[int, bytes]:
    """The status and the body of the answer to a GET. Raises an `Err` if the gate refuses it, or there is no answer."""
    parts = urlsplit(url)
    request = OutgoingRequest(Fields())
    request.set_scheme(Scheme_Http() if parts.scheme == "http" else Scheme_Https())
    request.set_authority(parts.netloc)
    request.set_path_with_query(parts.path + (f"?{parts.query}" if parts.query else ""))

    options = RequestOptions()
    options.set_connect_timeout(PATIENCE)
    options.set_first_byte_timeout(PATIENCE)
    options.set_between_bytes_timeout(PATIENCE)
    with outgoing_handler.handle(request, options) as future:
        with future.subscribe() as answered:
            answered.block()
        match future.get():
            case Ok(Ok(response)):
                return response.status(), read(response)
            case Ok(Err() as refused):
                raise refused
    raise ValueError("there is no answer")


def read(response: IncomingResponse) -> bytes:
    body = b""
    with response.consume() as incoming, incoming.stream() as stream:
        while True:
            try:
                body += stream.blocking_read(1 << 16)
            except Err as error:
                if isinstance(error.value, StreamError_Closed):
                    return body
                raise
            if len(body) > LONGEST:
                raise ValueError(f"the answer is longer than {LONGEST} bytes")
