"""A page opened in Chromium and watched: what it asks for, what it complains of, what sticks out, what axe finds."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
from playwright.sync_api import Browser, BrowserContext, Dialog, Page, sync_playwright

FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--no-first-run",
    "--disable-sync", "--disable-dev-shm-usage",
)  # fmt: skip
SERIOUS = ("serious", "critical")


@dataclass
class Watched:
    """A page, and everything that it tried to do."""

    page: Page
    url: str
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    dialogs: list[str] = field(default_factory=list)

    def quiet(self) -> None:
        """Nothing was asked for, nothing went wrong, nothing ran, nothing sticks out."""
        assert [url for url in self.requests if url != self.url and not url.startswith("blob:")] == []
        assert self.complaints == []
        assert self.dialogs == []
        assert self.page.evaluate("typeof window.pwned") == "undefined", "hostile texts would set it"
        size = self.page.viewport_size
        assert size is not None
        assert self.page.evaluate("document.documentElement.scrollWidth") <= size["width"]
        assert overflow(self.page) == []


@contextmanager
def launched() -> Iterator[Browser]:
    """Debian's Chromium, headless. A page that no browser has opened is not tested, so there is no skip."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.fail("the tests of pages need Chromium on the PATH; install it with: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        yield browser
        browser.close()


def watch(context: BrowserContext, url: str) -> Watched:
    """Open a page and write down what it does."""
    seen = Watched(context.new_page(), url)

    def answer(dialog: Dialog) -> None:
        seen.dialogs.append(dialog.message)
        dialog.dismiss()

    seen.page.on("request", lambda request: seen.requests.append(request.url))
    seen.page.on("console", lambda message: seen.complaints.append(message.text))
    seen.page.on("pageerror", lambda error: seen.complaints.append(str(error)))
    seen.page.on("dialog", answer)
    seen.page.goto(url, wait_until="load")
    return seen


def overflow(page: Page) -> list[str]:
    """Elements that stick out of the window although no box of their own scrolls them."""
    found: list[str] = page.evaluate(
        """() => [...document.querySelectorAll('body *')].filter(e => {
            if (e.getBoundingClientRect().right <= innerWidth + 1 || e.closest('.skip')) return false;
            for (let p = e.parentElement; p; p = p.parentElement) {
                const kept = ['auto', 'scroll', 'hidden'].includes(getComputedStyle(p).overflowX);
                if (kept || p.tagName === 'svg') return false;
            }
            return true;
        }).map(e => e.outerHTML.slice(0, 120))"""
    )
    return found


def open_everything(page: Page) -> None:
    """Uncover every example and unfold every table."""
    if page.locator("#reveal-all").count():
        page.locator("#reveal-all").check()
        page.locator("#show-slurs").check()
    page.evaluate("document.querySelectorAll('details').forEach(e => { e.open = true; })")


def serious(page: Page, *, contrast: bool = True) -> set[tuple[str, str, tuple[str, ...]]]:
    """What axe finds serious or critical: (rule, help, first places). The page's policy must be bypassed to let it in.

    Args:
        page: opened in a context with ``bypass_csp``.
        contrast: whether colours are looked at, which takes most of the time.
    """
    from axe_playwright_python.sync_playwright import Axe

    options = {"resultTypes": ["violations"], "rules": {"color-contrast": {"enabled": contrast}}}
    found = Axe().run(page, options=options).response["violations"]
    return {
        (one["id"], one["help"], tuple(node["html"][:160] for node in one["nodes"][:3]))
        for one in found
        if one["impact"] in SERIOUS
    }
