"""What our own screens in an admin site share: their frame, their live part, their addresses."""

from typing import Any
from urllib.parse import urlencode

import django
from django.contrib.admin import AdminSite
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.safestring import SafeString, mark_safe

from django_jobs import clock
from django_jobs.admin.places import places
from django_jobs.admin.refreshing import live
from django_jobs.admin.rights import Rights

LABEL = "django_jobs"
OUT_OF_BAND: SafeString = mark_safe(' hx-swap-oob="true"')
"""In the tag of a region: htmx puts it where the page has the region of that id."""

LATE_FRAME = django.VERSION >= (6, 1)
"""From then on the admin has its breadcrumbs in a list, and tools beside the title."""

STOP = 286
"""The status that ends a page's refreshing: nothing on it will change any more."""


class Screen:
    """A page of one admin site that keeps fresh while somebody looks.

    Its template extends `admin/django_jobs/screen.html`; a view that refreshes it is never wrapped
    by `admin_view`, whose redirect to the login htmx would put into a region.
    """

    def __init__(self, site: AdminSite) -> None:
        self.site = site

    def rights(self, request: HttpRequest, model: Any) -> Rights:
        """Return what the user may do; raises PermissionDenied unless he may see `model`."""
        rights = Rights(self.site, request)
        if not rights.may_view(model):
            raise PermissionDenied
        return rights

    def show(
        self,
        request: HttpRequest,
        template: str,
        values: dict[str, Any],
        *,
        title: str,
        refresh: str = "",
        pace: float = 1,
    ) -> TemplateResponse:
        """Return a page; `refresh`: the address that gives its regions anew, at that pace."""
        request.current_app = self.site.name
        context = {
            **self.site.each_context(request),
            "title": title,
            "subtitle": None,
            "app_label": LABEL,
            "now": clock.now(),
            "late_frame": LATE_FRAME,
            "places": places(self.site.name, Rights(self.site, request), request.path),
            "live": live(refresh, pace=pace) if refresh else None,
            **values,
        }
        return TemplateResponse(request, template, context)

    def refresh(
        self, request: HttpRequest, template: str, values: dict[str, Any], *, status: int = 200
    ) -> TemplateResponse:
        """Return the regions of a page anew; the status `STOP` ends its refreshing."""
        request.current_app = self.site.name
        return TemplateResponse(request, template, {**values, "oob": OUT_OF_BAND}, status=status)

    def to_login(self, page: str) -> HttpResponse:
        """Send the whole page to the login, and from there to the address `page`."""
        target = f"{self.address('admin:login')}?{urlencode({'next': page})}"
        return HttpResponse(status=204, headers={"HX-Redirect": target})

    @property
    def home(self) -> str:
        """The address of the dashboard."""
        return self.address("admin:app_list", app_label=LABEL)

    def address(self, name: str, *args: Any, **kwargs: Any) -> str:
        """Return the address of a view of this site, such as `admin:django_jobs_job_changelist`."""
        return reverse(name, args=args, kwargs=kwargs, current_app=self.site.name)
