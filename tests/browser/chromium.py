"""Real Chromium for tests. Where it is missing they are skipped, and in CI they fail, so that nobody forgets it."""

import importlib.util
import json
import os
import shutil
import unittest

NAMES = ("chromium", "chromium-browser", "google-chrome")
OPTIONS = ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--window-size=1200,900")


def missing():
    """Return what is not installed, and how it is; an empty text where nothing is missing."""
    if importlib.util.find_spec("selenium") is None:
        return "Selenium is not installed: pip install '.[browser]'"
    if not any(map(shutil.which, NAMES)) or not shutil.which("chromedriver"):
        return "Chromium or its driver is not installed: apt-get install chromium chromium-driver"
    return ""


def start():
    """Start Chromium, and return its driver, which notes what the page logs and every request it makes."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = next(filter(None, map(shutil.which, NAMES)))
    for option in OPTIONS:
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    return webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver")))


class ChromiumTestCase(unittest.TestCase):
    """One Chromium for all tests of the class, as ``self.browser``."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        reason = missing()
        if reason and os.environ.get("CI"):
            raise AssertionError(f"{reason}; without it these tests are skipped, but not where CI is set")
        if reason:
            raise unittest.SkipTest(reason)
        cls.browser = start()
        cls.addClassCleanup(cls.browser.quit)

    def emulate(self, media="", scheme="light"):
        """Show pages on ``"screen"`` or in ``"print"``, to somebody who likes them light or dark."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": features})

    def resize(self, width, height=900):
        """Give the page a window of this size, in pixels."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)

    def run_script(self, code, *arguments):
        """Run JavaScript in the page, and return what it returns."""
        return self.browser.execute_script(code, *arguments)

    def until(self, function):
        """Return what ``function`` returns as soon as that is true; 20 seconds are too long."""
        from selenium.webdriver.support.wait import WebDriverWait

        return WebDriverWait(self.browser, 20, 0.02).until(lambda browser: function())

    def requests(self):
        """Return the addresses that were asked for since the last call, but for those that a policy stopped."""
        asked, over, stopped = {}, set(), set()

        def all_are_over():
            for entry in self.browser.get_log("performance"):
                message = json.loads(entry["message"])["message"]
                details = message["params"]
                if message["method"] == "Network.requestWillBeSent":
                    asked[details["requestId"]] = details["request"]["url"]
                elif message["method"] in ("Network.loadingFinished", "Network.loadingFailed"):
                    over.add(details["requestId"])
                    stopped.update([details["requestId"]] if details.get("blockedReason") == "csp" else [])
            return all(number in over for number, address in asked.items() if not address.startswith("data:"))

        self.until(all_are_over)
        return [address for number, address in asked.items() if number not in stopped]

    def logged(self):
        """Return what the console said since the last call."""
        return [entry["message"] for entry in self.browser.get_log("browser")]
