"""Events: sending them, and handing them out to what listens and waits."""

from django_jobs.events.relaying import HandedOut, Relay
from django_jobs.events.sending import EventHandle, asend_event, send_event

__all__ = ["EventHandle", "HandedOut", "Relay", "asend_event", "send_event"]
