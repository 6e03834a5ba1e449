"""HTTP through the host's gate: only what the manifest asks for and the operator grants.

`urllib` and what is built on it need sockets, which no integration has; this speaks `wasi:http` instead.
"""

import asyncio
from urllib.parse import urlsplit

from componentize_py_types import Err, Ok
from poll_loop import Stream, register
from wit_world.imports import outgoing_handler
from wit_world.imports.types import (
    Fields,
    IncomingResponse,
    OutgoingRequest,
    RequestOptions,
    Scheme_Http,
    Scheme_Https,
)

# The time to wait for each part of an answer, in nanoseconds. The host ends the call after 5 s.
PATIENCE = 3_000_000_000

# The size limit of an answer, in bytes.
LARGEST = 1 << 20


async def get(url: str, headers: dict[str, str]) -> tuple[int, bytes]:
    """The status and body of the answer to a GET. Raises an `Err` if the gate refuses or there is no answer."""
    parts = urlsplit(url)
    request = OutgoingRequest(Fields.from_list([(name, value.encode()) for name, value in headers.items()]))
    request.set_scheme(Scheme_Https() if parts.scheme == "https" else Scheme_Http())
    request.set_authority(parts.netloc)
    request.set_path_with_query((parts.path or "/") + (f"?{parts.query}" if parts.query else ""))
    response = await send(request)
    return response.status(), await read(response)


async def send(request: OutgoingRequest) -> IncomingResponse:
    options = RequestOptions()
    options.set_connect_timeout(PATIENCE)
    options.set_first_byte_timeout(PATIENCE)
    options.set_between_bytes_timeout(PATIENCE)
    with outgoing_handler.handle(request, options) as future:
        await register(asyncio.get_running_loop(), future.subscribe())
        match future.get():
            case Ok(Ok(response)):
                return response
            case Ok(Err() as refused):
                raise refused
    raise ValueError("there is no answer")


async def read(response: IncomingResponse) -> bytes:
    stream = Stream(response.consume())
    body = b""
    while (chunk := await stream.next()) is not None:
        body += chunk
        if len(body) > LARGEST:
            raise ValueError(f"the answer has more than {LARGEST} bytes")
    return body
