"""The integration {{name}}: polls charms that have news, according to a web API.

A charm names its subject in its cell `topic`. The API answers `GET <api-base-url>/v1/news` with the topics that have
news, such as ["weather", "trains"].

Each call gets a fresh instance: variables do not survive a call. Use `state` for what should, see
wit/integration.wit. The methods of `WitWorld` are the exports of that file.
"""

import json

import wit_world
from componentize_py_types import Err
from wit_world import IntegrationError_Permanent
from wit_world.imports import charms, config, log
from wit_world.imports.charms import Charm, Lookup_Value
from wit_world.imports.log import Level
from wit_world.imports.values import CharmRef

import http_gate

# The stream to which polls are sent.
UPDATER_STREAM = "bgUpdater"


class WitWorld(wit_world.WitWorld):
    def initialize(self) -> None:
        """Called by `run --initialize`."""
        charms.prepare_list()

    def fetch_charms(self) -> list[CharmRef]:
        """The charms worth a poll now."""
        registered = charms.registered()
        base_url = config.get("api-base-url")
        if not base_url:
            # A raised `Err` is the error of the call. Any other exception ends the call as a trap.
            raise Err(IntegrationError_Permanent("the config value api-base-url is missing"))
        try:
            topics = topics_with_news(base_url)
        except (Err, ValueError) as error:
            # Without an answer from the API, all charms are polled.
            log.write(Level.WARN, f"all charms are polled: {error!r}")
            return registered
        return [charm for charm in registered if has_news(charm, topics)]

    def is_valid_charm(self, charm: Charm) -> bool:
        """Whether a charm is fit for polling; called right before the poll."""
        if charm.has_stream(UPDATER_STREAM):
            return True
        charm.explain(f"it has no stream {UPDATER_STREAM}")
        return False


def topics_with_news(base_url: str) -> list[str]:
    """The topics that have news, according to the API."""
    status, body = http_gate.get(f"{base_url.rstrip('/')}/v1/news")
    if status != 200:
        raise ValueError(f"the API answers with status {status}")
    topics = json.loads(body)
    if not isinstance(topics, list):
        raise ValueError("the API does not answer with a list of topics")
    return topics


def has_news(charm: CharmRef, topics: list[str]) -> bool:
    """Whether the topic of a charm is one of these; true if it has no topic."""
    try:
        with charms.open(charm) as opened:
            topic = opened.get(["topic"])
    except Err as error:
        log.write(Level.DEBUG, f"{charm.charm_id} cannot be read: {error!r}")
        return True
    return not isinstance(topic, Lookup_Value) or json.loads(topic.value) in topics
