"""Back to a page after the login: the address behind a button is none that can be looked at."""

from collections.abc import Callable
from functools import update_wrapper
from typing import Any

from django.contrib import messages
from django.contrib.admin import AdminSite
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _

View = Callable[..., Any]


def posted(site: AdminSite, view: View, page: Callable[..., str]) -> View:
    """Wrap a view that a form is sent to, as `site.admin_view` does.

    Whoever has to log in first is told that nothing was done, and comes back to the page that
    `page` returns for the request and the address's arguments.
    """
    wrapped: View = site.admin_view(view)

    def inner(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if request.method != "POST" or site.has_permission(request):
            response: HttpResponse = wrapped(request, *args, **kwargs)
            return response
        messages.warning(request, _("Nothing was done: log in first, and press again."))
        login = reverse("admin:login", current_app=site.name)
        return redirect_to_login(page(request, *args, **kwargs), login)

    return update_wrapper(inner, wrapped)
