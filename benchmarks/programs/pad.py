"""Makes the 180 drawings on the pad of a report with the mouse, in Chromium, and prints what the model says to them.

    python -m benchmarks.programs.pad REPORT MODEL

Prints a JSON document: `right` and `drawn`, manner → how many; and `as_predict`, how many drawings, saved as the pad
saves them, get the same class and probabilities within a point from `mnist_cli.predict`.
"""

from __future__ import annotations

import base64
import io
import json
import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.actions.action_builder import ActionBuilder
from selenium.webdriver.common.actions.pointer_input import PointerInput

from benchmarks.drawings import Drawing, drawings
from mnist_cli.formats.model import Model, load_model
from mnist_cli.pictures.predicting import predict

_SWITCHES = ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--window-size=1440,900")
_STATE = """
    const state = mnistReport.examine();
    return [state.predicted, state.probabilities, mnistReport.pad.picture().toDataURL("image/png")];
"""


def main(report: str, model: str) -> None:
    """Print what became of the drawings."""
    right, drawn, alike = Counter[str](), Counter[str](), 0
    trained = load_model(model)
    options = ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    with tempfile.TemporaryDirectory() as profile:
        for switch in (*_SWITCHES, f"--user-data-dir={profile}"):
            options.add_argument(switch)
        driver = Chrome(options, Service(shutil.which("chromedriver") or ""))
        try:
            driver.get(Path(report).resolve().as_uri())
            driver.execute_script("document.getElementById('draw').scrollIntoView({behavior: 'instant'})")
            for drawing in drawings():
                predicted, probabilities, picture = _draw(driver, drawing)
                drawn[drawing.manner] += 1
                right[drawing.manner] += predicted == drawing.digit
                alike += _is_alike(picture, trained, predicted, probabilities)
        finally:
            driver.quit()
    print(json.dumps({"right": right, "drawn": drawn, "as_predict": alike}))


def _draw(driver: Chrome, drawing: Drawing) -> Any:
    """Draw with the mouse on an empty pad; return the class, its probabilities and the saved picture."""
    driver.execute_script("mnistReport.pad.clear()")
    pad = driver.find_element("css selector", "#pad-drawing")
    size = pad.size
    device: Any = PointerInput  # Selenium's own types stop here
    builder = ActionBuilder(driver, mouse=device("mouse", "mouse"), duration=0)
    pointer: Any = builder.pointer_action
    for stroke in drawing.strokes:
        for index, (x, y) in enumerate(stroke):
            pointer.move_to(pad, round((x - 0.5) * size["width"]), round((y - 0.5) * size["height"]))
            if not index:
                pointer.pointer_down()
        pointer.pointer_up()
    builder.perform()
    return driver.execute_script(_STATE)


def _is_alike(picture: str, model: Model, predicted: int, probabilities: list[float]) -> bool:
    content = base64.b64decode(picture.partition(",")[2])
    answer = predict(Image.open(io.BytesIO(content)), model)
    return bool(answer.labels[0] == predicted and np.abs(answer.probabilities[0] - probabilities).max() < 0.01)


if __name__ == "__main__":
    main(*sys.argv[1:])
