"""Durable steps: what a job has done once it never does again, whatever happens to its worker.

A step's name is its memory. The job's function runs from its top again after each interruption;
finished steps then return what they returned, and the first unfinished one goes on.
"""

from django_jobs.steps.places import Interruption, current_step
from django_jobs.steps.together import Together
from django_jobs.steps.waiting import Sleeping, Waiting


class Steps(Waiting, Sleeping, Together):
    """The steps of one job: `context.step`. Without a job they simply run."""


__all__ = ["Interruption", "Steps", "current_step"]
