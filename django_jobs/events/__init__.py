"""Events: sending them, by hand or with the rows of a model, and handing them out to what listens and waits."""

from django_jobs.events.emitting import emit_on
from django_jobs.events.relaying import HandedOut, Relay
from django_jobs.events.sending import EventHandle, asend_event, send_event

__all__ = ["EventHandle", "HandedOut", "Relay", "asend_event", "emit_on", "send_event"]
