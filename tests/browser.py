"""A real browser for tests of pages: Chromium, driven over pipes in the DevTools protocol. Tests that need one are skipped without."""

import base64
import json
import os
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PROGRAM = next((found for name in NAMES if (found := shutil.which(name))), None)
needs_browser = pytest.mark.skipif(PROGRAM is None, reason=f"no browser here: none of {', '.join(NAMES)}")
OPTIONS = "--headless --no-sandbox --disable-gpu --disable-dev-shm-usage --no-first-run --hide-scrollbars --disable-background-networking"
KEYS = {"ArrowRight": 39, "ArrowLeft": 37, "Home": 36, "End": 35, "Escape": 27, "Tab": 9}


class Tab:
    """A page in the browser. complaints: what the console, exceptions and the network's log said. requests: every address asked for."""

    def __init__(self, commands: Any, answers: Any):
        self._commands, self._answers, self._last, self._session = commands, answers, 0, None
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self._loaded = False
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.send(f"{domain}.enable")

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Carries out a command of the protocol; raises where the browser refuses it."""
        self._last += 1
        message = {"id": self._last, "method": method, "params": parameters} | ({"sessionId": self._session} if self._session else {})
        self._commands.write(json.dumps(message).encode() + b"\0")
        self._commands.flush()
        while (answer := self._next()).get("id") != self._last:
            pass
        assert "error" not in answer, answer
        return answer["result"]

    def _next(self) -> dict[str, Any]:
        read = bytearray()
        while (byte := self._answers.read(1)) != b"\0":
            assert byte, "the browser has ended"
            read += byte
        message = json.loads(read)
        self._note(message.get("method"), message.get("params", {}))
        return message

    def _note(self, event: str | None, facts: dict[str, Any]) -> None:
        if event == "Network.requestWillBeSent":
            self.requests.append(facts["request"]["url"])
        elif event in ("Runtime.exceptionThrown", "Log.entryAdded") or facts.get("type") in ("error", "warning", "assert"):
            self.complaints.append(f"{event}: {json.dumps(facts)}")
        elif event == "Page.loadEventFired":
            self._loaded = True

    def open(self, path: Path) -> None:
        """Loads a file and waits until it is there whole."""
        self._loaded = False
        self.send("Page.navigate", url=path.resolve().as_uri())
        while not self._loaded:
            self._next()

    def run(self, source: str) -> Any:
        """The value of a JavaScript expression."""
        answer = self.send("Runtime.evaluate", expression=source, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def size(self, width: int, height: int, *, scale: float = 1.0, phone: bool = False) -> None:
        """Of the window, in CSS pixels."""
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=phone)

    def media(self, *, scheme: str = "light", kind: str = "screen") -> None:
        """The colour scheme that the reader prefers, and screen or print."""
        self.send("Emulation.setEmulatedMedia", media=kind, features=[{"name": "prefers-color-scheme", "value": scheme}])

    def hover(self, selector: str) -> None:
        """Moves the mouse to the middle of an element's first line."""
        self.send("Input.dispatchMouseEvent", type="mouseMoved", **self._middle(selector))

    def click(self, selector: str) -> None:
        """A mouse click in the middle of an element."""
        at = self._middle(selector)
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            self.send("Input.dispatchMouseEvent", type=kind, button="left", clickCount=1, **at)

    def _middle(self, selector: str) -> dict[str, float]:
        """Where the window shows it, once it has scrolled there."""
        self.run(f"document.querySelector({selector!r}).scrollIntoView({{block: 'center'}})")
        self.run("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        box = self.run(f"document.querySelector({selector!r}).getClientRects()[0].toJSON()")
        return {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}

    def press(self, key: str) -> None:
        """A key, on what has the focus."""
        for kind in ("keyDown", "keyUp"):
            self.send("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=KEYS.get(key) or ord(key.upper()))

    def screenshot(self, path: Path, *, whole: bool = True) -> None:
        """A PNG of the page, or of what the window shows of it."""
        data = self.send("Page.captureScreenshot", format="png", captureBeyondViewport=whole)["data"]
        path.write_bytes(base64.b64decode(data))


@contextmanager
def browser(profile: Path) -> Iterator[Tab]:
    """A browser with an empty `profile` folder; it ends with the block."""
    assert PROGRAM is not None, "tests that open a browser are marked needs_browser"
    (theirs_in, ours_out), (ours_in, theirs_out) = os.pipe(), os.pipe()
    options = f"{OPTIONS} --user-data-dir={shlex.quote(str(profile))} --remote-debugging-pipe"
    command = f"exec {shlex.quote(PROGRAM)} {options} 3<&{theirs_in} 4>&{theirs_out}"  # the pipe's ends have these numbers
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    program = subprocess.Popen(["bash", "-c", command], pass_fds=(theirs_in, theirs_out), **quiet)
    os.close(theirs_in)
    os.close(theirs_out)
    with os.fdopen(ours_out, "wb") as commands, os.fdopen(ours_in, "rb") as answers:
        try:
            tab = Tab(commands, answers)
            yield tab
            tab.send("Page.close")
        finally:
            program.terminate()
            program.wait()
