"""The page: its program gives the features and logits of Python to the bit, in a browser and in Node; and it draws."""

from __future__ import annotations

import base64
import hashlib
import re
import shutil
from pathlib import Path

import pytest

from mnist_cli.errors import InputError
from mnist_cli.export import browser as browsers
from mnist_cli.export import web
from mnist_cli.formats.model import Model
from tests.support.browser import Browser
from tests.support.exports import SHAPE, about, assert_exact, drawn_model, images_for, like_the_tutorial
from tests.support.folder_server import served

needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="there is no Node")


def written(folder: Path, model: Model) -> Path:
    web.TARGET.write(model, about(model), folder)
    return folder / web.TARGET.file


@needs_node
@pytest.mark.parametrize(
    ("name", "shape"), [("pixels", SHAPE), ("grad8", (28, 28)), ("scat1", (15, 23)), ("scat2", SHAPE)]
)
def test_node_computes_what_python_computes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, shape: tuple[int, int]
) -> None:
    monkeypatch.setattr(browsers, "find_browser", lambda: None)
    model = drawn_model(name, shape)
    images = images_for(model)
    assert_exact(model, images, web.TARGET.run(written(tmp_path, model), images))


@pytest.mark.skipif(browsers.find_browser() is None, reason="there is no Chromium")
def test_a_browser_computes_the_same(tmp_path: Path) -> None:
    model = drawn_model("scat1")
    images = images_for(model)
    assert_exact(model, images, web.TARGET.run(written(tmp_path, model), images))


@needs_node
def test_a_page_that_is_damaged_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(browsers, "find_browser", lambda: None)
    model = drawn_model()
    path = written(tmp_path, model)
    path.write_bytes(path.read_bytes().replace(b"const logitsOf", b"const logitsOn"))
    with pytest.raises(InputError, match="logitsOf is not defined"):
        web.TARGET.run(path, images_for(model))


def test_the_page_draws_and_answers_without_a_network(browser: Browser, tmp_path: Path) -> None:
    model = drawn_model("grad8", (28, 28))
    browser.open(written(tmp_path, model))
    assert browser.text("#sure") == "Draw here"
    for kind in ("touch", "mouse"):
        browser.draw("#pad", [(0.3, 0.2), (0.6, 0.3), (0.4, 0.8)], kind)
    assert browser.becomes("return document.querySelector('#label').textContent !== ''")
    assert browser.text("#label") in model.classes
    assert len(browser.run("return [...document.querySelectorAll('#bars li')].map(row => row.textContent)")) == 4
    browser.click("#undo")
    browser.click("#clear")
    assert browser.text("#sure") == "Draw here"
    assert browser.run("return document.querySelector('#facts').textContent").count(model.digest) == 1
    assert browser.messages() == [], "nothing is refused, nothing fails"
    assert browser.requests_to_the_network() == []


@pytest.mark.parametrize("given", ["[1, 2]", "new Uint8Array(5)", "new Float32Array(192)", "undefined"])
def test_an_image_of_another_shape_or_type_is_refused(browser: Browser, tmp_path: Path, given: str) -> None:
    browser.open(written(tmp_path, drawn_model()))
    said = browser.run(f"try {{ mnistModel.answer({given}); }} catch (error) {{ return String(error); }}")
    assert said.startswith("TypeError: image: expected a Uint8Array of 16 × 12 = 192 bytes; received ")


def test_a_phone_sees_the_whole_pad(browser: Browser, tmp_path: Path) -> None:
    phone = {"width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": True}
    browser.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", phone)
    try:
        browser.open(written(tmp_path, drawn_model("pixels", (28, 28))))
        browser.draw("#pad", [(0.3, 0.2), (0.6, 0.3)], "touch")
        assert browser.run("return document.documentElement.scrollWidth <= 360")
        assert browser.run("return document.querySelector('#bars').getBoundingClientRect().bottom <= innerHeight")
        box = browser.run(
            "const box = document.querySelector('#pad').getBoundingClientRect(); return [box.width, box.height]"
        )
        assert box[0] == pytest.approx(box[1], abs=2) and box[0] > 300
        assert browser.run("return getComputedStyle(document.querySelector('#pad')).touchAction") == "none"
        heights = browser.run("return [...document.querySelectorAll('button')].map(button => button.offsetHeight)")
        assert min(heights) >= 44
    finally:
        browser.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_from_a_server_it_works_when_the_server_is_gone(browser: Browser, tmp_path: Path) -> None:
    written(tmp_path, drawn_model())
    with served(tmp_path) as server:
        address = f"{server}/{web.TARGET.file}"
        browser.driver.get(address)
        assert browser.becomes("return document.querySelector('link[rel=manifest]') !== null")
        browser.run("navigator.serviceWorker.ready.then(() => { window.kept = true; })")
        assert browser.becomes("return window.kept === true && navigator.serviceWorker.controller !== null")
    browser.driver.get(address)
    assert browser.text("#sure") == "Draw here"
    browser.messages()


def test_the_page_is_small_and_the_same_for_equal_models() -> None:
    full = like_the_tutorial(drawn_model("scat1", (28, 28)))
    page = web.page(full, about(full))
    assert len(page) <= 250_000
    assert page == web.page(full, about(full))


def test_nothing_from_outside_is_read_as_html() -> None:
    model = drawn_model()
    page = web.page(model, about(model)).decode()
    data = re.search(r'<script type="application/json" id="model">(.*?)</script>', page, re.DOTALL)
    assert data and "<" not in data[1]
    script = re.search(r"<script>(.*)</script>", page, re.DOTALL)
    assert script
    digest = base64.b64encode(hashlib.sha256(script[1].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in page
