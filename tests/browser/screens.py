"""Every screen, by name: what is looked at, and where it is."""

from typing import NamedTuple

JOBS = "/admin/jobs/"


class Screen(NamedTuple):
    """`address`: with the numbers of a scene in braces. `day`: "new", "clear" or "trouble".

    `height`: so many pixels of it tell enough in a picture.
    """

    name: str
    address: str
    day: str = "trouble"
    height: int = 1100


SCREENS = (
    Screen("dashboard", JOBS, height=1015),
    Screen("dashboard-clear", JOBS, "clear", height=1120),
    Screen("dashboard-new", JOBS, "new"),
    Screen("jobs", f"{JOBS}job/", height=850),
    Screen("jobs-search", f"{JOBS}job/?q=state:failed+queue:mail", height=850),
    Screen("job-failed", f"{JOBS}job/{{failed}}/change/"),
    Screen("job-running", f"{JOBS}job/{{running}}/change/"),
    Screen("job-arguments", f"{JOBS}job/{{failed}}/arguments/"),
    Screen("job-delete", f"{JOBS}job/{{failed}}/delete/"),
    Screen("errors", f"{JOBS}failed/"),
    Screen("queues", f"{JOBS}queue/"),
    Screen("queue", f"{JOBS}queue/{{queue}}/change/"),
    Screen("queue-cancel", f"{JOBS}queue/{{queue}}/cancel-waiting/"),
    Screen("workers", f"{JOBS}worker/"),
    Screen("schedules", f"{JOBS}schedule/"),
    Screen("schedule", f"{JOBS}schedule/{{schedule}}/change/"),
    Screen("history", f"{JOBS}history/"),
    Screen("bulk-ask", f"{JOBS}job/bulk/?verb=retry&q=job:send_part"),
    Screen("bulk", f"{JOBS}bulkoperation/{{operation}}/change/"),
    Screen("batches", f"{JOBS}batch/"),
    Screen("events", f"{JOBS}event/"),
    Screen("runs", f"{JOBS}jobrun/", height=850),
    Screen("progress", "/waiting/{running}/"),
)
