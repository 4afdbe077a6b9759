"""All that our buttons do, by the word in their address, and whose permission each needs."""

from django.utils.translation import gettext as _

from django_jobs.admin.buttons import muting, pressing
from django_jobs.admin.buttons import queues as queue_pressing
from django_jobs.admin.buttons import trial as trial_pressing
from django_jobs.admin.buttons import workers as worker_pressing
from django_jobs.admin.buttons.pressing import Given, Pressed, Verb
from django_jobs.exceptions import JobError
from django_jobs.serializers import clean_text

VERBS: dict[str, Verb] = {
    **pressing.VERBS,
    **muting.VERBS,
    **worker_pressing.VERBS,
    **queue_pressing.VERBS,
    **trial_pressing.VERBS,
}
"""The model whose permission is asked for, and what is done."""

MAKING = frozenset(trial_pressing.VERBS)
"""Those that make jobs: they need the permission to add some, not the one to act on them."""


def press(verb: str, given: Given, by: str) -> Pressed:
    """Do what a button says; what cannot be done is told."""
    given = {name: clean_text(text) for name, text in given.items()}
    try:
        return VERBS[verb][1](given, by)
    except JobError as problem:
        return Pressed(_("No change: %(problem)s") % {"problem": problem})
