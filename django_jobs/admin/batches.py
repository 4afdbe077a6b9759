"""The admin's list of batches and flows: how far each is, to read only."""

from django.contrib import admin
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from django_jobs import clock
from django_jobs.admin.base import RecordAdmin, moment
from django_jobs.display import ago
from django_jobs.models import Batch

COLUMNS = ("title", "word", "total", "pending", "successful", "failed", "cancelled", "age")


@admin.register(Batch)
class BatchAdmin(RecordAdmin):
    """The batches and flows, newest first."""

    fields = readonly_fields = (*COLUMNS, "parent_id", "finished")
    list_display = COLUMNS

    @admin.display(description=gettext_lazy("batch"))
    def title(self, batch: Batch) -> str:
        """Its name and number."""
        return str(batch)

    @admin.display(description=gettext_lazy("state"))
    def word(self, batch: Batch) -> str:
        """Whether its jobs have ended, or its parent waits no longer."""
        return _("open") if batch.finished_at is None else _("finished")

    @admin.display(description=gettext_lazy("created"))
    def age(self, batch: Batch) -> str:
        """When it was written."""
        return ago(batch.created_at, clock.now())

    @admin.display(description=gettext_lazy("finished"))
    def finished(self, batch: Batch) -> str:
        """When it was finished."""
        return moment(batch.finished_at)
