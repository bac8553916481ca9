"""A headless Chromium for tests of pages, driven with Selenium; where there is none, those tests are skipped."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.actions.action_builder import ActionBuilder
from selenium.webdriver.common.actions.pointer_input import PointerInput
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

# It runs as root in CI, has no screen, and must not call home.
_SWITCHES = (
    "--headless=new",
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1280,900",
)
_LOCAL = ("file:", "data:", "blob:", "about:", "chrome:", "chrome-extension:")


class Browser:
    """A browser window, with what it logged and asked the network for."""

    def __init__(self, driver: Chrome) -> None:
        self.driver = driver

    def open(self, page: Path) -> None:
        """Open a file, with an empty log."""
        self.driver.get("about:blank")
        self.messages()
        self.requests()
        self.driver.get(page.as_uri())

    def messages(self, *, only_errors: bool = False) -> list[str]:
        """Return what the console got since the last call: errors, warnings, refusals of the security policy."""
        entries = self.driver.get_log("browser")  # type: ignore[no-untyped-call]
        return [entry["message"] for entry in entries if entry["level"] == "SEVERE" or not only_errors]

    def requests(self) -> list[str]:
        """Return the addresses that were asked for since the last call."""
        entries = self.driver.get_log("performance")  # type: ignore[no-untyped-call]
        events = [json.loads(entry["message"])["message"] for entry in entries]
        sent = [event["params"] for event in events if event["method"] == "Network.requestWillBeSent"]
        return [params["request"]["url"] for params in sent]

    def requests_to_the_network(self) -> list[str]:
        """Return those that a file alone does not need."""
        return [url for url in self.requests() if not url.startswith(_LOCAL)]

    def run(self, script: str, *arguments: object) -> Any:
        """Return what JavaScript returns."""
        return self.driver.execute_script(script, *arguments)

    def becomes(self, script: str) -> bool:
        """Wait, ten seconds at most, until JavaScript returns something true."""
        return bool(WebDriverWait(self.driver, 30).until(lambda _: self.run(script)))

    def find(self, selector: str) -> WebElement:
        """Return the first element that a CSS selector matches."""
        return self.driver.find_element("css selector", selector)

    def text(self, selector: str) -> str:
        """Return an element's text."""
        return str(self.find(selector).text)

    def click(self, selector: str) -> None:
        """Click an element, from a script: nothing else has to be scrolled out of its way."""
        self.run("arguments[0].click()", self.find(selector))

    def keys(self, *keys: str) -> None:
        """Press keys on what has the focus."""
        ActionChains(self.driver).send_keys(*keys).perform()

    def undo(self) -> None:
        """Press Ctrl and Z."""
        ActionChains(self.driver).key_down(Keys.CONTROL).send_keys("z").key_up(Keys.CONTROL).perform()

    def draw(self, selector: str, points: list[tuple[float, float]], kind: str = "mouse") -> None:
        """Draw a line with a mouse, pen or finger; points are shares of the element's width and height."""
        element = self.find(selector)
        self.run("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", element)
        size = element.size
        device: Any = PointerInput  # Selenium's own types stop here
        builder = ActionBuilder(self.driver, mouse=device(kind, kind), duration=5)
        pointer: Any = builder.pointer_action
        for index, (x, y) in enumerate(points):
            pointer.move_to(element, round((x - 0.5) * size["width"]), round((y - 0.5) * size["height"]))
            if not index:
                pointer.pointer_down()
        pointer.pointer_up()
        builder.perform()

    def violations(self, axe: str, width: int) -> list[str]:
        """Return what axe-core, given as its text, finds wrong for people with assistive technology at a width."""
        metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        try:
            self.run(axe)
            told = "violations.map(({id, nodes}) => `${id}: ${nodes[0].html}`)"
            found = self.driver.execute_async_script(f"axe.run().then(({{violations}}) => arguments[0]({told}))")
        finally:
            self.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        return list(found)

    def prefer(self, scheme: str) -> None:
        """Emulate a person who wants pages "light" or "dark"."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


def start_browser(profile: Path) -> Iterator[Browser]:
    """Give a browser with a profile of its own; skip where Chromium or its driver is missing."""
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    chromedriver = shutil.which("chromedriver")
    if chromium is None or chromedriver is None:
        pytest.skip("there is no Chromium with chromedriver (Debian: apt-get install chromium chromium-driver)")
    options = ChromeOptions()
    options.binary_location = chromium
    for switch in (*_SWITCHES, f"--user-data-dir={profile}"):
        options.add_argument(switch)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    with pytest.MonkeyPatch.context() as environment:
        for name in ("NO_PROXY", "no_proxy"):  # Selenium talks to the driver over loopback
            environment.setenv(name, "*")
        driver = Chrome(options, Service(chromedriver))
        try:
            driver.set_script_timeout(30)
            driver.set_page_load_timeout(60)
            yield Browser(driver)
        finally:
            driver.quit()
