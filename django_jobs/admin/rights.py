"""What a user may see and do in an admin site, as the admin pages of the models say."""

from typing import Any

from django.contrib.admin import AdminSite
from django.contrib.admin.exceptions import NotRegistered
from django.http import HttpRequest

from django_jobs.models import Job

ENQUEUE = "django_jobs.add_job"
PAYLOAD = "django_jobs.view_job_payload"
"""The permission to see arguments, results and logs."""


class Rights:
    """What one user may see and do; a project's own ModelAdmin has its say."""

    def __init__(self, site: AdminSite, request: HttpRequest) -> None:
        self._site = site
        self._request = request

    def may_view(self, model: Any) -> bool:
        """Say whether the user may see rows of `model`."""
        page = self._page(model)
        return page is not None and page.has_view_permission(self._request)

    def may_operate(self, model: Any) -> bool:
        """Say whether the user may act on rows of `model`."""
        page = self._page(model)
        rule = getattr(page, "has_operate_permission", None)
        rule = rule or getattr(page, "has_change_permission", None)
        return rule is not None and rule(self._request)

    def may_enqueue(self) -> bool:
        """Say whether the user may make jobs: Django's permission to add them."""
        return self._request.user.has_perm(ENQUEUE)

    def may_erase(self, model: Any) -> bool:
        """Say whether the user may delete rows of `model` that have come to their end."""
        rule = getattr(self._page(model), "has_erase_permission", None)
        return rule is not None and rule(self._request)

    def may_view_job(self, job_id: int) -> bool:
        """Say whether the user may see the job of that number; not one that is not there."""
        page = self._page(Job)
        if page is None:
            return False
        row = page.get_queryset(self._request).filter(pk=job_id).first()
        return row is not None and page.has_view_permission(self._request, row)

    def _page(self, model: Any) -> Any:
        try:
            return self._site.get_model_admin(model)
        except NotRegistered:
            return None


def may_see_payload(request: HttpRequest) -> bool:
    """Say whether the user may see arguments, results and logs."""
    return request.user.has_perm(PAYLOAD)
