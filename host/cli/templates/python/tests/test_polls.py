"""Runs the component in bg-wasm-host, with a temporary charm runtime and a fake API on loopback."""

import json
import os
import subprocess
import tempfile
import unittest
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

# The program, from this variable or the path.
PROGRAM = os.environ.get("BG_WASM_HOST", "bg-wasm-host")
COMPONENT = Path("{{name}}.wasm")


class Api(BaseHTTPRequestHandler):
    """The fake API."""

    # What it answers to `GET /v1/news`.
    news: list[str] = []

    def do_GET(self):
        body = json.dumps(Api.news).encode()
        self.send_response(200 if self.path == "/v1/news" else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Polls(unittest.TestCase):
    def setUp(self):
        for source in map(Path, ["integration.py", "http_gate.py"]):
            built = COMPONENT.exists() and COMPONENT.stat().st_mtime >= source.stat().st_mtime
            self.assertTrue(built, f"{COMPONENT} is not up to date: build it, as README.md says")
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.data = folder.name
        server = ThreadingHTTPServer(("127.0.0.1", 0), Api)
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        Thread(target=server.serve_forever).start()
        self.url = f"http://127.0.0.1:{server.server_port}"

    def test_a_charm_is_polled_if_and_only_if_the_api_names_its_topic(self):
        weather, trains = self.deploy("weather"), self.deploy("trains")
        for news, polls in [(["weather"], (1, 0)), (["trains"], (1, 1)), ([], (1, 1))]:
            Api.news = news
            self.run_once()
            self.assertEqual((self.polls(weather), self.polls(trains)), polls, f"the API names {news}")

    def host(self, *args: str) -> str:
        """Runs a command of the program, and returns its output."""
        env = {**os.environ, "BG_WASM_HOST_DATA": self.data}
        env.pop("API_URL", None)
        try:
            done = subprocess.run([PROGRAM, *args], env=env, capture_output=True, text=True)
        except FileNotFoundError:
            self.fail(f"there is no {PROGRAM}: set BG_WASM_HOST to its path")
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout.strip()

    def deploy(self, topic: str) -> str:
        """Deploys a charm about that topic, registers it, and answers its name."""
        inputs = json.dumps({"topic": topic})
        charm_id = self.host("charm", "deploy", "tests/charm.tsx", "--space", "test", "--inputs", inputs)
        charm = f"{self.host('space-did', 'test')}/{charm_id}"
        self.host("register", charm, "--integration", "{{name}}")
        return charm

    def run_once(self):
        """Asks the component which charms have news, and polls those, once."""
        grants = ["--allow-http", self.url, "--allow-private", self.url]
        setting = ["--set", f"{{name}}.api-base-url={self.url}"]
        self.host("run", "--once", "--component", str(COMPONENT), *setting, *grants)

    def polls(self, charm: str) -> int:
        """How often a charm was polled, as it counts itself."""
        return json.loads(self.host("charm", "show", charm))["cells"]["polls"]
