"""The buttons that tell workers what to do."""

from collections.abc import Callable

from django.utils.translation import gettext as _

from django_jobs import staffing
from django_jobs.admin.buttons.pressing import Given, Pressed, Verb
from django_jobs.conf import get_settings
from django_jobs.models import Worker


def quiet(given: Given, by: str) -> Pressed:
    """Let a worker claim nothing more."""
    said = _("The worker %(name)s is to be quiet.")
    return _want(given, by, staffing.quiet, said, _("told to be quiet"))


def go_on(given: Given, by: str) -> Pressed:
    """Let a quiet worker claim again."""
    said = _("The worker %(name)s is to go on.")
    return _want(given, by, staffing.go_on, said, _("told to go on"))


def stop(given: Given, by: str) -> Pressed:
    """Let a worker end when its running jobs have ended."""
    said = _("The worker %(name)s is to stop when its running jobs have ended.")
    return _want(given, by, staffing.stop, said, _("told to stop"))


def forget(given: Given, _by: str) -> Pressed:
    """Forget a silent worker that holds nothing."""
    name = given.get("worker", "")
    target = _worker_id(name)
    staffing.forget(name)
    text = _("The worker %(name)s is forgotten.") % {"name": name}
    return Pressed(text, _("forgotten"), name, target)


def _want(given: Given, by: str, operation: Callable[..., bool], said: str, log: str) -> Pressed:
    name = given.get("worker", "")
    if not operation(name, by=by):
        text = _("No change: the worker %(name)s was told so already, or is to stop.")
        return Pressed(text % {"name": name})
    soon = _("It hears of it with its next sign of life; so do all processes of its start.")
    return Pressed(f"{said % {'name': name}} {soon}", log, name, _worker_id(name))


def _worker_id(name: str) -> int | None:
    workers = Worker.objects.using(get_settings().DATABASE).filter(name=name)
    return workers.values_list("pk", flat=True).first()


VERBS: dict[str, Verb] = {
    "quiet": (Worker, quiet),
    "go-on": (Worker, go_on),
    "stop": (Worker, stop),
    "forget": (Worker, forget),
}
