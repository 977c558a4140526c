"""The pictures of a report in ``docs/images/``: ``python docs/screenshots.py demo-run/report.html``.

Needs the development extra and Debian's ``chromium``. The demo's report is what the documentation shows.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

FOLDER = Path(__file__).parent / "images"
DESKTOP, PHONE = {"width": 1280, "height": 1000}, {"width": 375, "height": 800}
PICTURES: dict[str, dict[str, Any]] = {
    "report-desktop": {"viewport": DESKTOP, "color_scheme": "light"},
    "report-dark": {"viewport": DESKTOP, "color_scheme": "dark"},
    "report-phone": {"viewport": PHONE, "color_scheme": "light"},
    "report-print": {"viewport": {"width": 794, "height": 1123}, "color_scheme": "light"},
}
PARTS = {"report-changes": "#changes", "report-groups": "#groups", "report-examples": "#examples"}
"""Sections shown from their head on, on the desktop."""


def main(report: Path) -> None:
    """Take all pictures of one report."""
    FOLDER.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        for name, options in PICTURES.items():
            page = chromium.new_page(**options)
            page.emulate_media(media="print" if name.endswith("print") else "screen")
            page.goto(report.resolve().as_uri())
            page.screenshot(path=FOLDER / f"{name}.png")
        page = chromium.new_page(viewport=DESKTOP)
        page.goto(report.resolve().as_uri())
        for name, section in PARTS.items():
            if page.locator(section).count():
                page.locator(section).evaluate("part => part.scrollIntoView()")
                page.screenshot(path=FOLDER / f"{name}.png")
        chromium.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
