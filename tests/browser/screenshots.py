"""Pictures of all screens, for the documentation: `python -m tests.browser.screenshots FOLDER`.

The clock stands still and the numbers begin at 1, so that a picture changes only when its screen
does, as long as it is taken with the same browser and fonts.
"""

import itertools
import os
import sys
from contextlib import contextmanager
from operator import attrgetter
from pathlib import Path

import django

WIDTH, LOWEST = 1280, 240
QUALITY = 62
SCHEMES = ("light", "dark")


def main(folder):
    """Take all pictures into `folder`."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    django.setup()
    from tests.browser.screens import SCREENS

    folder.mkdir(parents=True, exist_ok=True)
    of_day = attrgetter("day")
    with _shop() as (browsing, begin):
        for day, screens in itertools.groupby(sorted(SCREENS, key=of_day), key=of_day):
            user, scene = begin(day)
            for screen, scheme in itertools.product(screens, SCHEMES):
                _take(browsing, user, screen, scene, scheme, folder)
        if browsing.said:
            raise SystemExit(f"The console said: {browsing.said}")


@contextmanager
def _shop():
    """Open a shop in an empty database; yield its pages, and what begins one of its days."""
    from django.conf import settings
    from django.test.utils import get_runner, override_settings, setup_test_environment

    from django_jobs import clock
    from tests.browser.browsing import Browsing, chromium
    from tests.browser.serving import STRICT, served
    from tests.conftest import NOON

    setup_test_environment()
    runner = get_runner(settings)(verbosity=0, interactive=False)
    before = runner.setup_databases()
    quiet = {**settings.DJANGO_JOBS, "ADMIN_REFRESH": 3600}
    with (
        clock.frozen(NOON),
        override_settings(DJANGO_JOBS=quiet),
        chromium() as browser,
        served(STRICT) as address,
    ):
        browsing = Browsing(browser, address)
        yield browsing, _begin
        browsing.close()
    runner.teardown_databases(before)


def _begin(day):
    """Fill the empty database with what there is on such a day; return who looks, and the scene."""
    from django.contrib.auth.models import User
    from django.core.management import call_command

    from tests.browser.scene import fill

    call_command("flush", interactive=False, verbosity=0)
    user = User.objects.create_superuser("ana")
    return user, None if day == "new" else fill(trouble=day == "trouble")


def _take(browsing, user, screen, scene, scheme, folder):
    address = screen.address.format(**vars(scene)) if scene else screen.address
    page = browsing.open(address, user=user, width=WIDTH, height=LOWEST, color_scheme=scheme)
    # The list of the project's own models at the side tells nothing here.
    page.evaluate("localStorage.setItem('django.admin.navSidebarIsOpen', 'false')")
    page.reload()
    height = page.evaluate("document.documentElement.scrollHeight")
    page.set_viewport_size({"width": WIDTH, "height": min(height, screen.height)})
    path = folder / f"{screen.name}-{scheme}.jpg"
    page.screenshot(path=path, type="jpeg", quality=QUALITY, animations="disabled")
    page.context.close()
    sys.stdout.write(f"{path} {path.stat().st_size // 1024} KB\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
