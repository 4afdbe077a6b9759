"""All screens as people see them: nothing that axe finds, nothing too wide, nothing too small."""

import json

import pytest

from tests.browser.looks import WIDE, walk, what_axe_finds, what_does_not_fit
from tests.browser.scene import fill
from tests.browser.screens import SCREENS

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("frozen_clock"),
]

OURS = {
    "include": ["#content"],
    "exclude": ["#changelist-search", ".datetime", "#result_list tbody tr:nth-child(n+21)"],
}
"""What is around it is the admin's, and so is what finds rows in lists, and the fields of a date.

Later rows of a list look like these.
"""

PLACES = """(text) => {
    // Where each letter of the first such text on the page begins.
    const texts = document.createTreeWalker(document.getElementById("content"), NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) {
        const at = texts.currentNode.data.indexOf(text);
        if (at < 0) continue;
        return [...text].map((letter, number) => {
            const range = document.createRange();
            range.setStart(texts.currentNode, at + number);
            range.setEnd(texts.currentNode, at + number + 1);
            return range.getBoundingClientRect().left;
        });
    }
}"""


def told(wrong):
    return json.dumps(wrong, indent=1, ensure_ascii=False)


@pytest.mark.parametrize("day", ["new", "clear", "trouble"])
def test_nobody_is_kept_out(visit, day):
    scene = None if day == "new" else fill(trouble=day == "trouble")
    page = visit("/admin/")
    wrong = {}
    screens = [screen for screen in SCREENS if screen.day == day]
    for screen, status in walk(page, visit.address, screens, scene):
        assert status == 200, screen.name
        found = {**dict(what_axe_finds(page, OURS)), **dict(what_does_not_fit(page))}
        wrong |= {f"{screen.name}, {what}": some for what, some in found.items() if some}
    assert wrong == {}, told(wrong)


def test_the_help_on_keys_fits(visit):
    page = visit("/admin/jobs/")
    page.keyboard.press("Shift+?")
    assert page.get_by_role("dialog", name="Keys").is_visible()
    found = {**dict(what_axe_finds(page, OURS)), **dict(what_does_not_fit(page))}
    assert not any(found.values()), told(found)


@pytest.mark.parametrize("language", ["en-us", "de"])
def test_all_columns_of_the_queues_are_seen(visit, settings, language):
    settings.LANGUAGE_CODE = language
    fill(trouble=True)
    page = visit("/admin/jobs/queue/")
    for width in (WIDE, 1024):
        page.set_viewport_size({"width": width, "height": 800})
        seen, whole = page.evaluate(
            "(({ clientWidth, scrollWidth }) => [clientWidth, scrollWidth])"
            "(document.querySelector('.jobs-scroll'))"
        )
        assert whole == seen, width


class TestFromRightToLeft:
    @pytest.fixture(autouse=True)
    def _arabic(self, settings):
        settings.LANGUAGE_CODE = "ar"

    @pytest.mark.parametrize("day", ["new", "trouble"])
    def test_all_fits(self, visit, day):
        scene = None if day == "new" else fill(trouble=True)
        page = visit("/admin/")
        wrong = {}
        screens = [screen for screen in SCREENS if screen.day == day and "admin" in screen.address]
        for screen, status in walk(page, visit.address, screens, scene):
            assert status == 200, screen.name
            assert page.evaluate("document.documentElement.dir") == "rtl"
            found = dict(what_does_not_fit(page))
            wrong |= {f"{screen.name}, {what}": some for what, some in found.items() if some}
        assert wrong == {}, told(wrong)

    def test_code_and_what_is_not_translated_read_from_left_to_right(self, visit):
        scene = fill(trouble=True)
        page = visit("/admin/")
        for path, text in (
            (f"schedule/{scene.schedule}/change/", "0 2 * * *"),
            (f"schedule/{scene.schedule}/change/", "nightly_report()"),
            ("schedule/", "0 2 * * *"),
            ("failed/", "56 failed jobs in 3 errors"),
            (f"job/{scene.failed}/change/", "send_part(7, 3)"),
        ):
            page.goto(f"{visit.address}/admin/jobs/{path}")
            places = page.evaluate(PLACES, text)
            assert places == sorted(places), text
