"""axe-core finds nothing serious: demo-like, hostile and single-run page, light and dark, on a desk and a phone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser

from audit.schema import Comparison
from reports import html
from tests.browsing import SERIOUS, open_everything, serious
from tests.reports.test_explorer import NAMES, filled


@pytest.fixture(scope="module")
def pages(
    tmp_path_factory: pytest.TempPathFactory, build: Callable[..., Comparison], hostile: Comparison
) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("axe")
    made = {"demo": filled(build(NAMES[1:], note="A caution.")), "single": build(()), "hostile": hostile}
    return {name: html.write(one, folder / f"{name}.html").as_uri() for name, one in made.items()}


@pytest.mark.parametrize(
    ("name", "scheme", "opened", "width"),
    [
        ("demo", "light", False, 1280),
        ("demo", "light", True, 375),
        ("demo", "dark", True, 1280),
        ("hostile", "dark", True, 375),
        ("single", "light", False, 1280),
    ],
)
def test_axe_finds_nothing_serious(
    chromium: Browser, pages: dict[str, str], name: str, scheme: str, opened: bool, width: int
) -> None:
    # The page's policy keeps axe out as it keeps everything out; here it is let in.
    context = chromium.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, bypass_csp=True
    )  # fmt: skip
    page = context.new_page()
    page.goto(pages[name], wait_until="load")
    if opened:
        open_everything(page)
    # Contrast takes most of the time: it is looked at once in the light and once in the dark, with everything open.
    found = serious(page, contrast=name == "demo" and opened)
    context.close()
    assert found == set()


def test_axe_would_have_found_it(chromium: Browser, pages: dict[str, str], tmp_path: Path) -> None:
    """A page with known faults: were axe not to run, the tests above would pass for nothing."""
    broken = tmp_path / "broken.html"
    broken.write_text(
        '<!DOCTYPE html><html><title>x</title><main><select></select><p style="color:#ccc">pale</p></main>'
    )
    context = chromium.new_context()
    page = context.new_page()
    page.goto(broken.as_uri())
    found = {one["id"]: one["impact"] for one in Axe().run(page).response["violations"]}
    context.close()
    assert found["html-has-lang"] in SERIOUS and found["select-name"] in SERIOUS and found["color-contrast"] in SERIOUS
