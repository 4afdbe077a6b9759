"""The admin's page of events: what has happened, and what came of it."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext_lazy as _

from django_jobs.admin.base import RecordAdmin, moment
from django_jobs.display import json_text
from django_jobs.masking import mask_value
from django_jobs.models import Event
from django_jobs.serializers import load


@admin.register(Event)
class EventAdmin(RecordAdmin):
    """The events, newest first; their data for those who may see payloads."""

    list_display = ("__str__", "when", "summary")
    search_fields = ("=name", "=key")
    search_help_text = _("The whole name of an event, or its id.")
    ordering = ("-id",)

    def get_fields(self, request: HttpRequest, _obj: Event | None = None) -> Any:
        """Return what the user may see."""
        fields = ["name", "key", "when", "summary", "jobs", "problem"]
        allowed = request.user.has_perm("django_jobs.view_job_payload")
        return [*fields, "payload"] if allowed else fields

    def get_readonly_fields(self, request: HttpRequest, obj: Event | None = None) -> Any:
        """Return the same: nothing is edited here."""
        return self.get_fields(request, obj)

    @admin.display(description=_("sent"))
    def when(self, event: Event) -> str:
        """When it was sent."""
        return moment(event.sent_at)

    @admin.display(description=_("what it did"))
    def summary(self, event: Event) -> str:
        """What came of it."""
        return event.summary

    @admin.display(description=_("started"))
    def jobs(self, event: Event) -> str:
        """The jobs that it started, with links."""
        return (
            format_html_join(", ", "{}", ((self._link(job_id),) for job_id in event.started)) or "–"
        )

    @admin.display(description=_("data"))
    def payload(self, event: Event) -> str:
        """Its data, without what reads like a secret."""
        return json_text(mask_value(load(event.data)))

    def _link(self, job_id: int) -> str:
        name = "admin:django_jobs_job_change"
        try:
            url = reverse(name, args=[job_id], current_app=self.admin_site.name)
        except NoReverseMatch:
            return f"#{job_id}"
        return format_html('<a href="{}">#{}</a>', url, job_id)
