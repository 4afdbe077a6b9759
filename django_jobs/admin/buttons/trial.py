"""The button that lets a project without jobs see one run."""

from django.utils.translation import gettext as _

from django_jobs.admin.buttons.pressing import Given, Pressed, Verb
from django_jobs.models import Job
from django_jobs.trial import enqueue_test_job


def run_test_job(_given: Given, by: str) -> Pressed:
    """Enqueue the test job, unless one is on its way."""
    job = enqueue_test_job(by=by)
    said = {"job": job.id}
    if not job.created:
        return Pressed(_("No change: the test job #%(job)s is on its way already.") % said)
    text = _("The test job #%(job)s is enqueued; a worker that is there runs it at once.")
    return Pressed(text % said, _("test job enqueued"), f"#{job.id}", job.id)


VERBS: dict[str, Verb] = {"test-job": (Job, run_test_job)}
