"""All screens as people see them: nothing that axe finds, nothing too wide, nothing too small."""

import json
from pathlib import Path

import pytest

from tests.browser.scene import fill
from tests.browser.screens import SCREENS

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("frozen_clock"),
]

WIDE, NARROW = 1280, 360
SMALL = {WIDE: 24, NARROW: 44}
"""Pixels that what is pressed must have in height, by the width of the window."""

OURS = {"include": ["#content"], "exclude": ["#changelist-search", ".datetime"]}
"""What is around it is the admin's, and so is what finds rows in lists, and the fields of a date."""

SCHEMES = {"light": {}, "dark": {"runOnly": ["color-contrast"]}}
"""What is looked for: in the dark nothing but the colours is another."""

AXE = """async ([scope, rules]) => {
    // The colours of the other scheme come by and by.
    await Promise.allSettled(document.getAnimations().map((one) => one.finished));
    // What it loads beforehand are styles, against the policy.
    const found = await axe.run(scope, { resultTypes: ["violations"], preload: false, ...rules });
    return found.violations.flatMap((rule) => rule.nodes.map(
        (node) => `${rule.id}: ${node.html.slice(0, 160)} ${node.any.map((why) => why.message)}`
    ));
}"""
LOW = """(least) => [...document.querySelectorAll(
        "#content :is(button, input[type=submit], summary, .jobs-button, .jobs-updated a, .jobs-lists a)"
    )]
    .filter((one) => one.closest(".jobs, .schedule-truth") || (least < 44 && !one.closest("#changelist-filter")))
    .map((one) => [one, one.getBoundingClientRect()])
    .filter(([one, box]) => box.width > 1 && box.height > 0 && box.height < least)
    .map(([one, box]) => `${one.outerHTML.slice(0, 120)}: ${box.height}`)"""
WIDER = """() => document.documentElement.scrollWidth <= innerWidth ? []
    : [...document.querySelectorAll("body *")]
        .filter((one) => one.getBoundingClientRect().right > innerWidth + 1)
        .map((one) => one.outerHTML.slice(0, 120))"""


@pytest.fixture(scope="module")
def axe():
    """Return the text of axe, which finds what keeps people out."""
    import axe_playwright_python

    return (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text()


@pytest.mark.parametrize("day", ["new", "clear", "trouble"])
def test_nobody_is_kept_out(visit, axe, day):
    scene = None if day == "new" else fill(trouble=day == "trouble")
    page = visit("/admin/")
    wrong = {}
    for screen in SCREENS:
        if screen.day == day:
            address = screen.address.format(**vars(scene)) if scene else screen.address
            page.set_viewport_size({"width": WIDE, "height": 800})
            page.goto(f"{visit.address}{address}")
            found = dict(_found(page, axe))
            wrong |= {f"{screen.name}, {what}": some for what, some in found.items() if some}
    assert wrong == {}, json.dumps(wrong, indent=1, ensure_ascii=False)


def _found(page, axe):
    """Yield what is wrong with a page, by what it is about."""
    page.evaluate(axe)  # as the browser's own tools do: no policy of the page holds
    for scheme, rules in SCHEMES.items():
        page.emulate_media(color_scheme=scheme)
        yield scheme, page.evaluate(AXE, [OURS, rules])
    for width, least in SMALL.items():
        page.set_viewport_size({"width": width, "height": 800})
        yield f"too low at {width}", page.evaluate(LOW, least)
        yield f"wider than {width}", page.evaluate(WIDER)
