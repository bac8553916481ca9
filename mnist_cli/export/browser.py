"""Runs an exported page in Chromium if it is installed, else in Node. Neither needs a Python package.

Chromium is controlled over two pipes, file descriptors 3 and 4, with JSON messages that each end with a zero byte.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mnist_cli import system
from mnist_cli.children import run_other, start_other
from mnist_cli.errors import InputError
from mnist_cli.text import printable

_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_BLOCK = 500  # images at once
_DEADLINE = 60  # seconds for a page to load
_SWITCHES = ("--headless=new", "--remote-debugging-pipe", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run")
# Moves two descriptors to the numbers that the browser uses, and becomes the browser.
_ON_PIPES = """
import fcntl, os, sys
high = [fcntl.fcntl(int(descriptor), fcntl.F_DUPFD, 10) for descriptor in sys.argv[1:3]]
for descriptor, place in zip(high, (3, 4)):
    os.dup2(descriptor, place)
    os.close(descriptor)
os.execv(sys.argv[3], sys.argv[3:])
"""
# Runs the part of the page that needs no screen, with the page's own data, for each line of standard input.
_NODE = r"""
const html = require("fs").readFileSync(process.argv[1], "utf8");
const model = JSON.parse(html.match(/<script type="application\/json" id="model">(.*?)<\/script>/s)[1]);
const script = html.match(/<script>(.*)<\/script>/s)[1];
const until = script.slice(0, script.indexOf("/* end */"));
const answers = new Function("document", until.replace("(() => {", "") + "return answers;")(
  {getElementById: () => ({textContent: JSON.stringify(model)})});
require("readline").createInterface({input: process.stdin}).on("line", line => console.log(answers(line)));
"""


def find_browser() -> str | None:
    """Return the path of a Chromium, or None."""
    return next(filter(None, map(shutil.which, _BROWSERS)), None)


def runtime() -> str:
    """Return what is missing to run a page here; empty if nothing is."""
    return "" if find_browser() or shutil.which("node") else "neither Chromium nor Node is installed"


def words() -> str:
    """Return the name of the program that `run_page` will use."""
    return Path(find_browser() or "node").name


def run_page(path: Path, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """Return the result of the page's `answers` for images uint8 [n, h, w].

    Returns:
        float64 [n, 2 + 2 K]: label, fingerprint, K logits, K probabilities.

    Raises:
        InputError: the browser or Node ended, or the page failed.
    """
    blocks = [images[start : start + _BLOCK].tobytes() for start in range(0, len(images), _BLOCK)]
    texts = [base64.b64encode(block).decode() for block in blocks]
    browser = find_browser()
    results = list(_in_browser(browser, path, texts) if browser else _in_node(path, texts))
    found = np.frombuffer(b"".join(map(base64.b64decode, results)), "<f8")
    return found.reshape(len(images), -1)


def _in_node(path: Path, texts: list[str]) -> list[str]:
    given = "".join(f"{text}\n" for text in texts)
    done = run_other(["node", "-e", _NODE, str(path)], given.encode())
    if done.returncode:
        lines = done.stderr.decode(errors="replace").splitlines()
        message = next((line for line in lines if "Error" in line), lines[-1] if lines else "no error message")
        raise InputError(f"Node cannot run {path.name}: {printable(message, 200)}")
    return done.stdout.decode().splitlines()


def _in_browser(browser: str, path: Path, texts: list[str]) -> Iterator[str]:
    with _started(browser) as client:
        target = client.call("Target.createTarget", url=path.resolve().as_uri())["targetId"]
        session = client.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        client.wait_for(session, "typeof mnistModel")
        for text in texts:
            yield client.evaluate(session, f"mnistModel.answers('{text}')")


class _Client:
    """A browser at the other end of two pipes."""

    def __init__(self, to: Any, answers: Any) -> None:
        self._to, self._answers = to, answers
        self._number = 0

    def call(self, method: str, session: str | None = None, **values: Any) -> dict[str, Any]:
        """Call a method of the browser and wait for its answer."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": values}
        message |= {"sessionId": session} if session else {}
        try:
            self._to.write(json.dumps(message).encode() + b"\0")
            self._to.flush()
            while (received := self._read()).get("id") != self._number:
                pass  # an event
        except OSError as error:
            raise InputError(f"the browser ended: {error.strerror}") from None
        if "error" in received:
            raise InputError(f"the browser refused {method}: {received['error'].get('message')}")
        result: dict[str, Any] = received["result"]
        return result

    def evaluate(self, session: str, expression: str) -> str:
        """Return the value of a JavaScript expression in the page."""
        result = self.call("Runtime.evaluate", session, expression=expression, returnByValue=True)
        if "exceptionDetails" in result:
            raised = result["exceptionDetails"].get("exception", {})
            raise InputError(f"the page failed: {printable(raised.get('description', 'an exception'), 200)}")
        return str(result["result"].get("value"))

    def wait_for(self, session: str, expression: str) -> None:
        """Wait until an expression gives `object`; before that, the tab may still show the empty page."""
        deadline = time.monotonic() + _DEADLINE
        while self.evaluate(session, expression) != "object":
            if time.monotonic() > deadline:
                raise InputError(f"the page did not load within {_DEADLINE} s")
            time.sleep(0.05)

    def _read(self) -> dict[str, Any]:
        parts = bytearray()
        while not parts.endswith(b"\0"):
            part = self._answers.read1(1 << 20)
            if not part:
                raise InputError("the browser ended before it answered")
            parts += part
        # Several messages may have arrived; all except the awaited one are events.
        messages = [json.loads(each) for each in bytes(parts).split(b"\0") if each]
        return next((each for each in messages if each.get("id") == self._number), messages[-1])


@contextmanager
def _started(browser: str) -> Iterator[_Client]:
    """Start a browser with an empty profile, yield its client, and end the browser afterwards."""
    reading, writing = os.pipe(), os.pipe()  # for the browser's descriptors 3 and 4
    root = ("--no-sandbox",) if system.is_root() else ()
    with tempfile.TemporaryDirectory(prefix="mnist-browser-", ignore_cleanup_errors=True) as profile:
        command = [browser, *_SWITCHES, *root, f"--user-data-dir={profile}", "about:blank"]
        places = [str(reading[0]), str(writing[1])]
        process = start_other(
            [sys.executable, "-SEc", _ON_PIPES, *places, *command],
            pass_fds=(reading[0], writing[1]),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(reading[0])
        os.close(writing[1])
        try:
            with os.fdopen(reading[1], "wb") as to, os.fdopen(writing[0], "rb") as answers:
                yield _Client(to, answers)
        finally:
            process.terminate()
            process.wait(10)
