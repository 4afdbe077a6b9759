"""What a newer version of the code declares besides: workers find it where `AUTODISCOVER` names it."""

from django_jobs import Event, job, when
from tests.crash.jobs import count_on
from tests.crash.ledger import note


@job(on=when("django_jobs/job.cancelled", match={"job": count_on.name, "queue": "newer"}))
def mourn(event: Event) -> None:
    """Hear of each count that was cancelled."""
    note("begin", event.data["job_id"], 0)
    note("end", event.data["job_id"], 0)
