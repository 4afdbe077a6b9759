"""The pages. A request only writes rows and enqueues; the worker does the mailing."""

from django.conf import settings
from django.contrib.auth import get_user_model, login
from django.core import signing
from django.db.models import Count
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from example_project.shop import campaigns, parts
from example_project.shop.forms import CampaignForm
from example_project.shop.models import Campaign, Customer, Template
from example_project.shop.progress import progress_of

LOGIN_SALT = "example_project.enter"
LOGIN_SECONDS = 24 * 60 * 60


@require_GET
def home(request: HttpRequest) -> HttpResponse:
    """Show the templates, each with its button, and the latest campaigns."""
    return _home(request, CampaignForm())


@require_POST
def start(request: HttpRequest) -> HttpResponse:
    """Start a campaign and show it; nothing is mailed here."""
    form = CampaignForm(request.POST)
    if not form.is_valid():
        return _home(request, form, status=422)
    return redirect(campaigns.start(form.cleaned_data["template"]))


@require_GET
@never_cache
def campaign(request: HttpRequest, pk: int) -> HttpResponse:
    """Show a campaign, its text and how far it is."""
    found = get_object_or_404(Campaign, pk=pk)
    context = {"progress": progress_of(found), "mail": found.text_for(_reader())}
    return render(request, "shop/campaign.html", context)


@require_GET
@never_cache
def progress(request: HttpRequest, pk: int) -> HttpResponse:
    """Show only how far a campaign is: what htmx fetches every second until it is finished."""
    found = get_object_or_404(Campaign, pk=pk)
    if not request.htmx:
        return redirect(found)
    return render(request, "shop/_progress.html", {"progress": progress_of(found)})


@require_GET
@never_cache
def enter(request: HttpRequest, token: str) -> HttpResponse:
    """Log the holder of a link that the demo has printed in as its user; only with DEBUG."""
    if not settings.DEBUG:
        raise Http404
    try:
        name = signing.loads(token, salt=LOGIN_SALT, max_age=LOGIN_SECONDS)
    except signing.BadSignature as error:
        raise Http404("This link is not valid (any more). Start the demo again.") from error
    login(request, get_object_or_404(get_user_model(), username=name, is_active=True))
    return redirect("admin:app_list", app_label="django_jobs")


def login_token(name: str) -> str:
    """Return the token of a link that logs its holder in as the user called `name`."""
    return signing.dumps(name, salt=LOGIN_SALT)


def _reader() -> Customer:
    """Return the customer as whom the pages show the mails."""
    return Customer.objects.order_by("pk").first() or Customer(name="Dear Customer")


def _home(request: HttpRequest, form: CampaignForm, status: int = 200) -> HttpResponse:
    reader = _reader()
    latest = Campaign.objects.annotate(
        sent=Count("sent_mails", distinct=True), total=Count("recipients", distinct=True)
    )
    context = {
        "form": form,
        "templates": [(template, template.text_for(reader)) for template in Template.objects.all()],
        "customers": Customer.objects.filter(subscribed=True).count(),
        "part": parts.SIZE,
        "campaigns": latest[:10],
    }
    return render(request, "shop/home.html", context, status=status)
