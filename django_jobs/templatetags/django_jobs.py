"""`{% load django_jobs %}`: what a project's own pages show of a job, and of how the jobs are."""

from typing import Any

from django import template
from django.template import Context
from django.utils.safestring import SafeString

from django_jobs.progress import DEFAULT_TEMPLATE, Watch, fragment, number_of

register = template.Library()


@register.simple_tag
def job_progress(
    job: Any, *, show_result: bool = False, template: str = DEFAULT_TEMPLATE
) -> SafeString | str:
    """Show how far a job is, and keep that fresh: `{% job_progress order_job %}`.

    `job`: what `enqueue` returned, a `Job`, or its number; of `None` nothing is shown. With
    `show_result` whoever sees the page also sees what the job returned. `template`: another one than
    "django_jobs/progress.html". Raises ImproperlyConfigured where the address is missing, TypeError
    for what is no job.
    """
    number = number_of(job)
    return "" if number is None else fragment(Watch(number, bool(show_result), template))[0]


@register.simple_tag(takes_context=True)
def jobs_status(context: Context) -> SafeString | str:
    """Show in a line whether anything is wrong, with a link to the dashboard: `{% jobs_status %}`.

    For a page of an admin site, such as its index. Nothing for whoever may not see jobs.
    """
    # The admin may not be installed, and the other tag does not need it.
    from django_jobs.admin.status import status_line  # noqa: PLC0415

    request = context.get("request")
    return "" if request is None else status_line(request)
