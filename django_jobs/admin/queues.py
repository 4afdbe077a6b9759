"""The admin's pages of queues."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from django_jobs import clock, operations
from django_jobs.admin.base import RecordAdmin, moment
from django_jobs.models import Queue


@admin.register(Queue)
class QueueAdmin(RecordAdmin):
    """The queues, with pause and resume."""

    actions = ("pause_queues", "resume_queues")
    fields = readonly_fields = ("name", "word", "paused_by", "paused_reason", "until")
    list_display = ("name", "word", "paused_by", "paused_reason", "until")

    @admin.display(description="state")
    def word(self, queue: Queue) -> str:
        """Whether it is paused."""
        return "paused" if operations.is_paused(queue, clock.now()) else "open"

    @admin.display(description="until")
    def until(self, queue: Queue) -> str:
        """When it resumes by itself."""
        return moment(queue.paused_until)

    @admin.action(description="Pause selected queues", permissions=["operate"])
    def pause_queues(self, request: HttpRequest, queryset: QuerySet[Queue]) -> None:
        """Start nothing of these queues; what runs goes on."""
        by = str(request.user)
        changed = [queue.name for queue in queryset if operations.pause_queue(queue.name, by=by)]
        self.record(request, queryset.filter(name__in=changed), "paused through the admin")
        text = f"Paused: {', '.join(changed)}. Running jobs go on." if changed else "No change."
        self.message_user(request, text)

    @admin.action(description="Resume selected queues", permissions=["operate"])
    def resume_queues(self, request: HttpRequest, queryset: QuerySet[Queue]) -> None:
        """Go on with these queues."""
        changed = [queue.name for queue in queryset if operations.resume_queue(queue.name)]
        self.record(request, queryset.filter(name__in=changed), "resumed through the admin")
        text = f"Resumed: {', '.join(changed)}." if changed else "No change: none was paused."
        self.message_user(request, text)
