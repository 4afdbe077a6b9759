"""The admin beside django-unfold, in a process of its own: `--ds tests.browser.unfold.settings`."""
