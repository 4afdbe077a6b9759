"""The jobs about a row of the project, and the row that a job is about."""

from django.db.models import Model, QuerySet

from django_jobs.conf import get_settings
from django_jobs.models import Job
from django_jobs.subjects import name_of, row_called


def jobs_about(row: Model) -> QuerySet[Job]:
    """Return the jobs about `row`, the newest first, in the jobs' database.

    Raises ValueError for a row that is not saved, TypeError for what is no row.
    """
    jobs: QuerySet[Job] = Job.objects.using(get_settings().DATABASE)
    return jobs.filter(about=name_of(row)).order_by("-id")


def row_about(job_id: int) -> Model | None:
    """Return the row that this job is about; `None`: about none, or the row is gone."""
    jobs = Job.objects.using(get_settings().DATABASE).filter(pk=job_id, about__isnull=False)
    name = jobs.values_list("about", flat=True).first()
    return None if name is None else row_called(name)
