"""A headless Chromium for tests of pages: Debian's browser and driver, nothing is downloaded.

Where either is missing the tests that need it are skipped, unless GATEFIELD_REQUIRE_BROWSER is set: then its absence
is a failure.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars")
REQUIRED = bool(os.environ.get("GATEFIELD_REQUIRE_BROWSER"))


class Browser:
    """One browser; ``open`` shows a file, and the methods say what is there."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def open(self, path: Path, *, width: int = 1200, dark: bool = False) -> None:
        """Show a page of this width in CSS pixels."""
        self.command("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.command("Emulation.setEmulatedMedia", media="screen", features=[scheme])
        self.driver.get("about:blank")
        for kind in ("browser", "performance"):
            self.driver.get_log(kind)
        self.driver.get(path.absolute().as_uri())

    def command(self, name: str, **parameters: Any) -> None:
        """A command of the browser's own protocol."""
        self.driver.execute_cdp_cmd(name, parameters)

    def run(self, script: str) -> Any:
        """The value of a JavaScript expression."""
        return self.driver.execute_script(f"return {script}")

    def unfold(self) -> None:
        """Open everything that is folded."""
        self.driver.execute_script("for (const part of document.querySelectorAll('details')) part.open = true")

    def complaints(self) -> list[str]:
        """What the console says."""
        return [str(entry["message"]) for entry in self.driver.get_log("browser")]

    def requests(self) -> list[str]:
        """Every address that was asked for since the page was opened, but for what the page holds itself."""
        messages = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        sent = [item["params"]["request"]["url"] for item in messages if item["method"] == "Network.requestWillBeSent"]
        return [address for address in sent if not address.startswith("data:")]


@contextmanager
def started() -> Iterator[Browser]:
    """A browser for as long as it is needed."""
    program, service = shutil.which("chromium"), shutil.which("chromedriver")
    if not (program and service):
        message = "chromium and chromedriver are needed: apt-get install chromium chromium-driver"
        assert not REQUIRED, message
        pytest.skip(message)
    if not REQUIRED:
        pytest.importorskip("selenium")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = program
    for flag in FLAGS:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(executable_path=service))
    try:
        driver.set_page_load_timeout(60)
        yield Browser(driver)
    finally:
        driver.quit()
