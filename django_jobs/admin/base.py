"""What all our admin lists share: read-only, capped, in the jobs' database."""

from datetime import datetime
from typing import Any, cast

from django.contrib import admin
from django.contrib.admin.models import CHANGE, LogEntry
from django.core.exceptions import FieldDoesNotExist
from django.core.paginator import Page, Paginator
from django.db import transaction
from django.db.models import JSONField, Model, QuerySet, TextField
from django.http import HttpRequest, HttpResponse
from django.utils.functional import cached_property

from django_jobs import clock
from django_jobs.admin.places import places
from django_jobs.admin.rights import Rights
from django_jobs.conf import get_settings
from django_jobs.display import ago

CAP = 10_000


class CappedPaginator(Paginator):  # type: ignore[type-arg]
    """Counts 10,000 rows and no further, so that a list of millions opens at once."""

    @cached_property
    def count(self) -> int:
        """How many rows can be paged through."""
        rows = cast("QuerySet[Any]", self.object_list)
        return min(rows.order_by().values("pk")[:CAP].count(), CAP)

    def page(self, number: int | str) -> Page:  # type: ignore[type-arg]
        """Return a page; the rows before it are skipped by their keys, not read and joined."""
        found = super().page(number)
        rows = cast("QuerySet[Any]", found.object_list)
        chosen = cast("QuerySet[Any]", self.object_list).filter(pk__in=rows.values("pk"))
        found.object_list = chosen
        return found


class RecordAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """A list and a page of records that nobody edits, in the jobs' database."""

    actions_selection_counter = True
    list_per_page = 50
    paginator = CappedPaginator
    show_facets = admin.ShowFacets.NEVER
    show_full_result_count = False
    sortable_by = ()

    @transaction.non_atomic_requests(using=get_settings().DATABASE)
    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show the list or act on it, without the transaction that ATOMIC_REQUESTS would open.

        It would keep jobs and claims locked, and workers waiting, until the page is drawn.
        """
        return super().changelist_view(request, {**self.ways(request), **(extra_context or {})})

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Show the page of a row, or the form of a new one."""
        more = {**self.ways(request), **(extra_context or {})}
        return super().changeform_view(request, object_id, form_url, more)

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show what was done to a row here."""
        more = {**self.ways(request), **(extra_context or {})}
        return super().history_view(request, object_id, more)

    def ways(self, request: HttpRequest) -> dict[str, Any]:
        """Return what a page needs to lead to the other screens of jobs."""
        rights = Rights(self.admin_site, request)
        return {"places": places(self.admin_site.name, rights, request.path)}

    def lookup_allowed(self, lookup: str, value: Any, request: Any = None) -> bool:
        """Say whether an address may filter by that: by no column that holds JSON or long texts.

        Whoever may not see arguments, results or logs could guess them letter by letter, and
        anybody the secrets that are masked.
        """
        return (
            not self._is_hidden(lookup)
            and "\0" not in "".join(map(str, value if isinstance(value, list) else [value]))
            and super().lookup_allowed(lookup, value, request)
        )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return the rows of the jobs' database."""
        return super().get_queryset(request).using(get_settings().DATABASE)

    def has_add_permission(self, _request: HttpRequest) -> bool:
        """Nobody adds a row by hand: `enqueue` and the workers do."""
        return False

    def has_change_permission(self, _request: HttpRequest, _obj: Model | None = None) -> bool:
        """Nobody edits a row by hand."""
        return False

    def has_delete_permission(self, _request: HttpRequest, _obj: Model | None = None) -> bool:
        """Nobody deletes a row by hand: the workers prune."""
        return False

    def has_operate_permission(self, request: HttpRequest) -> bool:
        """Say whether the user may act on these rows: Django's permission to change them."""
        name = f"{self.opts.app_label}.change_{self.opts.model_name}"
        return request.user.has_perm(name)

    def _is_hidden(self, lookup: str) -> bool:
        try:
            field = self.opts.get_field(lookup.partition("__")[0])
        except FieldDoesNotExist:  # a filter's own parameter
            return False
        return isinstance(field, (JSONField, TextField))

    def record(self, request: HttpRequest, rows: QuerySet[Any], message: str) -> None:
        """Write to the admin's log who did what to which rows."""
        LogEntry.objects.log_actions(
            user_id=cast("int", request.user.pk),
            queryset=rows,
            action_flag=CHANGE,
            change_message=message,
        )


def moment(instant: datetime | None) -> str:
    """Return an instant and how long ago it is, a dash for none."""
    if instant is None:
        return "–"
    return f"{instant:%Y-%m-%d %H:%M:%S} UTC ({ago(instant, clock.now())})"
