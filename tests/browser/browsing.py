"""A browser and its pages: who looks at them, and what their consoles say."""

import os
import shutil
from contextlib import contextmanager

from django.test import Client

PATIENCE = 60_000
"""Milliseconds that a page may take for anything."""

UNSAFE = "DJANGO_ALLOW_ASYNC_UNSAFE"


@contextmanager
def chromium():
    """Start the system's Chromium; yield it."""
    from playwright.sync_api import sync_playwright

    before = os.environ.get(UNSAFE)
    os.environ[UNSAFE] = "true"  # Django sees the loop of playwright in this thread
    try:
        with sync_playwright() as playwright:
            path = shutil.which("chromium")
            browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
            yield browser
            browser.close()
    finally:
        os.environ.pop(UNSAFE)
        os.environ |= {} if before is None else {UNSAFE: before}


class Browsing:
    """Opens pages of the server at `address`; `said`: what their consoles have said."""

    def __init__(self, browser, address):
        self.said = []
        self._browser = browser
        self.address = address
        self._contexts = []

    def open(self, path, *, user=None, width=1280, height=800, **options):
        """Return a page in a context of its own; `options` are those of a context."""
        context = self._browser.new_context(viewport={"width": width, "height": height}, **options)
        context.set_default_timeout(PATIENCE)
        self._contexts.append(context)
        if user is not None:
            context.add_cookies([_session(user, self.address)])
        page = context.new_page()
        page.on("console", lambda message: self.said.append(f"{message.text} {message.location}"))
        page.on("pageerror", lambda error: self.said.append(str(error)))
        page.goto(f"{self.address}{path}")
        return page

    def close(self):
        """Close all pages."""
        for context in self._contexts:
            context.close()


def _session(user, address):
    client = Client()
    client.force_login(user)
    return {"name": "sessionid", "value": client.cookies["sessionid"].value, "url": address}


def shows(page, selector, text):
    """Wait until the only such part of a page has the text in it."""
    from playwright.sync_api import expect

    expect(page.locator(selector)).to_contain_text(text, timeout=PATIENCE)


def says(page, text):
    """Wait until the page says what a press has led to."""
    shows(page, "ul.messagelist", text)
