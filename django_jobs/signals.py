"""The signals of a job's life. They say what has happened; nobody can change it from here.

`job_enqueued` is sent in the caller's thread, right after the insert; `handle` is the job's
handle. `job_started` and `job_finished` are sent by a worker from a thread of its own, after
the fact is certain; `claimed` is the job as it was claimed, `transition` how its run ended.
The sender is the job's name (a text). A receiver that raises is logged and changes nothing.
"""

from django.dispatch import Signal

job_enqueued = Signal()
job_started = Signal()
job_finished = Signal()
