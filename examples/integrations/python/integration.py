"""An integration in Python: polls the charms whose mailbox has changed since their last poll.

The methods of `WitWorld` are the exports of the world `integration` in wit/. Each call gets a fresh instance. Variables do not
survive a call; `state` does.
"""

import asyncio
import json
from urllib.parse import urlencode

import wit_world
from componentize_py_types import Err
from poll_loop import PollLoop
from wit_world import IntegrationError_Permanent
from wit_world.imports import charms, config, log, state
from wit_world.imports.charms import Charm, Lookup_Absent, Lookup_Value
from wit_world.imports.log import Level
from wit_world.imports.values import CharmRef

from gate import get

# The possible names of the stream that a poll is sent to.
UPDATER_STREAMS = [
    "bgUpdater",
    "integrationUpdater",
    "updater",
    "googleUpdater",
    "githubUpdater",
    "notionUpdater",
    "calendarUpdater",
    "discordUpdater",
]

# The number of charms to ask about in one call, concurrently; the host allows 8 requests at a time. All others are
# polled without asking.
ASKED = 8


class WitWorld(wit_world.WitWorld):
    def initialize(self) -> None:
        """Called by `run --initialize`."""
        charms.prepare_list()

    def fetch_charms(self) -> list[CharmRef]:
        """The charms worth a poll now."""
        registered = charms.registered()
        base_url = config.get("api-base-url")
        if not base_url:
            # An `Err` is the call's error. Any other exception ends the instance, and its text is lost.
            raise Err(IntegrationError_Permanent("the config value api-base-url is missing"))
        quiet = run(are_quiet(base_url.rstrip("/"), registered[:ASKED]))
        named = [charm for place, charm in enumerate(registered) if place >= ASKED or not quiet[place]]
        log.write(Level.INFO, f"call {count_call()}: {len(named)} of {len(registered)} charms are worth a poll")
        return named

    def is_valid_charm(self, charm: Charm) -> bool:
        """Whether a charm is fit to be polled; called right before the poll."""
        signed_in = not isinstance(charm.get(["auth", "token"]), Lookup_Absent)
        return signed_in and any(charm.has_stream(name) for name in UPDATER_STREAMS)


async def are_quiet(base_url: str, asked: list[CharmRef]) -> list[bool]:
    return await asyncio.gather(*(is_quiet(base_url, charm) for charm in asked))


async def is_quiet(base_url: str, charm: CharmRef) -> bool:
    """Whether the service has nothing new. If that is unknown, the charm is polled."""
    try:
        with charms.open(charm) as opened:
            found = opened.get(["settings", "historyId"])
        since = str(json.loads(found.value)) if isinstance(found, Lookup_Value) else ""
        if not (since.isascii() and since.isdigit()):
            return False
        query = urlencode({"startHistoryId": since, "maxResults": 1})
        # The host adds this charm's token; the integration never sees it.
        headers = {"bg-charm": f"{charm.space}/{charm.charm_id}"}
        status, body = await get(f"{base_url}/gmail/v1/users/me/history?{query}", headers)
        if status != 200:
            return False
        answer = json.loads(body)
        return not answer.get("history") and "nextPageToken" not in answer
    except (Err, ValueError, TypeError, AttributeError) as error:
        # An `Err` from the host holds the variant of wit/ as its value.
        log.write(Level.WARN, f"{charm.charm_id} is polled unasked: {error!r}")
        return False


def count_call() -> int:
    """Counts this call and returns the number of calls so far. State holds bytes in any format."""
    before = state.get("calls")
    calls = 1 if before is None else json.loads(before) + 1
    state.set("calls", json.dumps(calls).encode())
    return calls


def run(work):
    """Runs a coroutine on a loop that waits by `wasi:io/poll`, the only one available."""
    loop = PollLoop()
    asyncio.set_event_loop(loop)
    return loop.run_until_complete(work)
