"""What keeps people out of a page: what axe finds, what is too low to press, what is too wide."""

from pathlib import Path

WIDE, NARROW = 1280, 360
LOWEST = {WIDE: 28, NARROW: 44}
"""Pixels that what is pressed on our pages must have in height, by the width of the window."""

THEIRS = {WIDE: 24, NARROW: 0}
"""The same for what the admin itself puts around it; its filters are lower still."""

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
LOW = """([least, theirs]) => [...document.querySelectorAll(
        "#content :is(button, input[type=submit], summary, .jobs-button, .jobs-updated a, .jobs-lists a, .jobs-chip)"
    )]
    .map((one) => [one, one.getBoundingClientRect(), one.closest(".jobs, .schedule-truth"), one.closest("#changelist-filter")])
    .map(([one, box, ours, filter]) => [one, box, ours ? least : filter ? 0 : theirs])
    .filter(([one, box, wanted]) => box.width > 1 && box.height > 0 && box.height < wanted)
    .map(([one, box]) => `${one.outerHTML.slice(0, 120)}: ${box.height}`)"""
WIDER = """() => document.documentElement.scrollWidth <= innerWidth ? []
    : [...document.querySelectorAll("body *")]
        .map((one) => [one, one.getBoundingClientRect()])
        .filter(([one, box]) => box.right > innerWidth + 1 || box.left < -1)
        .map(([one]) => one.outerHTML.slice(0, 120))"""

COVERED = """() => {
    // What is pressed in the navigation, where something else would get the press.
    // Behind the help on keys nothing is to be pressed.
    if (document.querySelector("dialog[open]")) return [];
    return [...document.querySelectorAll(".jobs-lists a, .jobs-above button, .jobs-updated :is(a, button)")]
        .filter((one) => one.checkVisibility())
        .map((one) => {
            one.scrollIntoView({ block: "center" });
            const box = one.getBoundingClientRect();
            return [one, document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2)];
        })
        .filter(([one, hit]) => !one.contains(hit))
        .map(([one, hit]) => `${one.outerHTML.slice(0, 120)}: ${hit?.outerHTML.slice(0, 120)}`);
}"""


def what_axe_finds(page, scope, *, reload=False):
    """Yield what axe finds in a part of a page, in the light and in the dark.

    `reload`: the page's theme looks at the system's scheme only when a page is opened.
    """
    import axe_playwright_python

    code = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text()
    for scheme, rules in SCHEMES.items():
        page.emulate_media(color_scheme=scheme)
        if reload and scheme == "dark":
            page.reload()
        if not page.evaluate("'axe' in window"):
            page.evaluate(code)  # as the browser's own tools do: no policy of the page holds
        yield scheme, page.evaluate(AXE, [scope, rules])


def what_does_not_fit(page, theirs=THEIRS):
    """Yield what is too low and what is too wide, on a desk and on a telephone."""
    for width, least in LOWEST.items():
        page.set_viewport_size({"width": width, "height": 800})
        yield f"too low at {width}", page.evaluate(LOW, [least, theirs[width]])
        yield f"wider than {width}", page.evaluate(WIDER)
        yield f"covered at {width}", page.evaluate(COVERED)


def walk(page, address, screens, scene):
    """Open one screen after the other in a wide window; yield each with its status."""
    for screen in screens:
        page.set_viewport_size({"width": WIDE, "height": 800})
        page.emulate_media(color_scheme="light")
        path = screen.address.format(**vars(scene)) if scene else screen.address
        yield screen, page.goto(f"{address}{path}").status
