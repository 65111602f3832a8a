"""Open pages of the built book in headless Chromium, over the Chrome DevTools protocol.

    with serve(folder) as base, Browser() as browser:
        page = browser.open(base + "index.html")
        page.errors, page.requests, browser.evaluate("document.title")

A small client of https://chromedevtools.github.io/devtools-protocol: one page, one socket.
"""

import base64
import functools
import http.server
import json
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.request import urlopen

import websocket

PREFIX = "contriever-from-scratch"
NAMES = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--no-first-run",
    "--remote-debugging-port=0",
)
# Loaded, and the mathematics typeset.
READY = """(async () => {
  if (document.querySelector('script[src*="tex-mml-chtml"]')) {
    while (!window.MathJax?.startup?.promise) await new Promise(r => setTimeout(r, 20));
    await MathJax.startup.promise;
  }
  await document.fonts.ready;
  await new Promise(r => setTimeout(r, 100));
  return true;
})()"""


def find_chromium() -> str | None:
    """The path of an installed Chromium or Chrome, or None."""
    return next(filter(None, map(shutil.which, NAMES)), None)


@contextmanager
def serve(folder: Path) -> Iterator[str]:
    """Serve a book on this machine alone, one folder deep, as it will be published.

    Gives its address, ending in a slash.
    """

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            pass

    with tempfile.TemporaryDirectory() as root:
        (Path(root) / PREFIX).symlink_to(Path(folder).resolve(), target_is_directory=True)
        handler = functools.partial(Quiet, directory=root)
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            yield f"http://127.0.0.1:{server.server_port}/{PREFIX}/"
            server.shutdown()


@dataclass
class Page:
    """What happened while a page was opened: messages of errors, addresses asked for."""

    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def record(self, event: dict) -> None:
        method, what = event.get("method"), event.get("params", {})
        if method == "Network.requestWillBeSent":
            self.requests.append(what["request"]["url"])
        elif method == "Network.loadingFailed" and not what.get("canceled"):
            self.errors.append(f"loading failed: {what.get('errorText')}")
        elif method == "Runtime.exceptionThrown":
            self.errors.append(json.dumps(what["exceptionDetails"].get("exception", what))[:500])
        elif method == "Runtime.consoleAPICalled" and what["type"] in ("error", "assert"):
            self.errors.append(json.dumps(what["args"])[:500])
        elif method == "Log.entryAdded" and what["entry"]["level"] == "error":
            self.errors.append(f"{what['entry']['text']} {what['entry'].get('url', '')}")


class Browser:
    """Headless Chromium with one page. A context manager; nothing of it outlives the block."""

    def __enter__(self) -> "Browser":
        program = find_chromium()
        if program is None:
            raise FileNotFoundError("no Chromium: on Debian, sudo apt install chromium")
        self._profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self._process = subprocess.Popen(
            [program, *FLAGS, f"--user-data-dir={self._profile.name}", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            self._connect()
        except Exception:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        self._process.terminate()
        self._process.wait()
        self._profile.cleanup()

    def _connect(self, patience: float = 60) -> None:
        """Find the page's socket and ask for the events that a Page records."""
        port_file = Path(self._profile.name) / "DevToolsActivePort"
        end = time.monotonic() + patience
        while not port_file.exists() or not port_file.read_text().strip():
            if time.monotonic() > end or self._process.poll() is not None:
                raise TimeoutError(f"Chromium did not start within {patience:g} seconds")
            time.sleep(0.05)
        port = port_file.read_text().split()[0]
        with urlopen(f"http://127.0.0.1:{port}/json/list") as answer:
            pages = [target for target in json.load(answer) if target["type"] == "page"]
        self._socket = websocket.create_connection(
            pages[0]["webSocketDebuggerUrl"], timeout=patience, suppress_origin=True
        )
        self._count, self._page = 0, Page()
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def _receive(self) -> dict:
        message = json.loads(self._socket.recv())
        self._page.record(message)
        return message

    def call(self, method: str, **params: object) -> dict:
        """Send a command and wait for its answer."""
        self._count += 1
        self._socket.send(json.dumps({"id": self._count, "method": method, "params": params}))
        while (message := self._receive()).get("id") != self._count:
            pass
        if "error" in message:
            raise RuntimeError(f"{method}: {message['error']}")
        return message["result"]

    def open(self, address: str) -> Page:
        """Open an address, wait until it is loaded and typeset, and tell what happened."""
        self.call("Page.navigate", url="about:blank")
        self._page = Page()
        self.call("Page.navigate", url=address)
        while self.evaluate("document.readyState") != "complete":
            time.sleep(0.02)
        self.evaluate(READY)
        return self._page

    def evaluate(self, script: str) -> object:
        """The value of a JavaScript expression, a promise awaited."""
        answer = self.call(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
        )
        if "exceptionDetails" in answer:
            raise RuntimeError(json.dumps(answer["exceptionDetails"])[:500])
        return answer["result"].get("value")

    def window(self, width: int, height: int, mobile: bool = False) -> None:
        """Give the page a size in CSS pixels, and a phone's behaviour if asked."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=mobile,
        )

    def theme(self, name: str) -> None:
        """Prefer "light" or "dark", as a reader's system would."""
        features = [{"name": "prefers-color-scheme", "value": name}]
        self.call("Emulation.setEmulatedMedia", features=features)

    def screenshot(self, path: Path) -> None:
        """Save the whole page, from top to bottom, as PNG."""
        image = self.call("Page.captureScreenshot", captureBeyondViewport=True)["data"]
        path.write_bytes(base64.b64decode(image))
