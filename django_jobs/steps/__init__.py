"""Durable steps: what a job has done once it never does again, whatever happens to its worker.

A step's name is its memory. The job's function runs from its top again after each interruption;
finished steps then return what they returned, and the first unfinished one goes on.
"""

from django_jobs.steps.places import Interruption, current_step
from django_jobs.steps.running import Steps

__all__ = ["Interruption", "Steps", "current_step"]
