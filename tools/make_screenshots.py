"""Takes the screenshots in docs/: figures of the lesson, the top of the report, and its pad, in Chromium.

    python -m tools.make_screenshots    # MNIST_MIRRORS names a folder with the four MNIST files

They show the default training on MNIST. No test compares them: look at them before you commit them.
"""

from __future__ import annotations

import base64
import contextlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tools import DOCS

if TYPE_CHECKING:
    from tests.support.browser import Browser

_SCALE = 1.4  # pixels of the picture for each pixel of the page
# Strokes, as shares of the pad's width and height.
_THREE = [(0.3, 0.3), (0.45, 0.14), (0.66, 0.19), (0.7, 0.4), (0.5, 0.5), (0.69, 0.55), (0.73, 0.75), (0.5, 0.86)]
_THREE += [(0.27, 0.75)]


def main() -> None:
    """Make both pages, and take every picture."""
    from tests.support.browser import start_browser

    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        for words in (["run"], ["lesson"], ["report"]):
            subprocess.run([sys.executable, "-m", "mnist_cli", *words, "--quiet"], check=True, env=dict(os.environ))
        for browser in start_browser(Path("profile").absolute()):
            _take_lesson(browser, Path("artifacts/lesson.html").absolute())
            _take_report(browser, Path("artifacts/report.html").absolute())


def _take_lesson(browser: Browser, page: Path) -> None:
    browser.prefer("light")
    browser.open(page)
    _resize(browser, 960)
    browser.becomes("return Boolean(window.mnistLesson)")
    for name in ("data", "one-hot"):
        _take(browser, f"#{name} figure.scripted-only", DOCS / f"lesson-{name}.png")
    for number in range(1, 25):  # a 6, whose gradient is a shape that one recognises
        browser.click(f"#data-examples li:nth-child({number}) button")
        if browser.text("#data-chosen").endswith("label 6"):
            break
    browser.run(
        "const slider = document.getElementById('training-slider'); slider.value = 60;"
        "slider.dispatchEvent(new Event('input', {bubbles: true}))"
    )
    browser.becomes("return document.getElementById('training-digest').textContent.length === 64")
    for name in ("evidence", "training", "evaluation"):
        _take(browser, f"#{name} figure.scripted-only", DOCS / f"lesson-{name}.png")


def _take_report(browser: Browser, page: Path) -> None:
    browser.prefer("light")
    browser.open(page)
    _resize(browser, 1060)
    browser.becomes("return document.getElementById('pad-says').textContent !== ''")
    _take(browser, "body", DOCS / "report-light.png", height=950)
    browser.prefer("dark")
    browser.draw("#pad-drawing", _THREE)
    browser.run(
        "const other = document.getElementById('pad-other'); other.value = 8;"
        "other.dispatchEvent(new Event('change', {bubbles: true}))"
    )
    _take(browser, "#draw", DOCS / "report-pad-dark.png")


def _resize(browser: Browser, width: int) -> None:
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


def _take(browser: Browser, selector: str, path: Path, height: float | None = None) -> None:
    """Write an element, or so many pixels of its height, as a PNG."""
    left, top, width, whole = browser.run(
        "scrollTo({top: 0, behavior: 'instant'}); const box = arguments[0].getBoundingClientRect();"
        "return [box.x + scrollX, box.y + scrollY, box.width, box.height]",
        browser.find(selector),
    )
    clip = {"x": left, "y": top, "width": width, "height": height or whole, "scale": _SCALE}
    options = {"format": "png", "clip": clip, "captureBeyondViewport": True}
    path.write_bytes(base64.b64decode(browser.driver.execute_cdp_cmd("Page.captureScreenshot", options)["data"]))


if __name__ == "__main__":
    main()
