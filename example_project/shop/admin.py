"""The shop in Django's admin."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from django_jobs.admin import JobsPanel
from example_project.shop.models import (
    Campaign,
    Customer,
    CustomerImport,
    CustomerReport,
    DayFigures,
    Delivery,
    NightlyReport,
    Order,
    Partner,
    Receipt,
    SentMail,
    Template,
)


class MadeByJobs(admin.ModelAdmin):
    """For rows that only the shop's pages and jobs write."""

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002 - Django's signature
        """Nobody adds one by hand."""
        return False


class OnlyToRead(MadeByJobs):
    """For records of what happened."""

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002 - Django's signature
        """Nobody changes the past."""
        return False


@admin.register(Customer)
class CustomerAdmin(admin.ModelAdmin):
    """Customers, found by name or address."""

    list_display = ["name", "email", "subscribed"]
    list_filter = ["subscribed"]
    search_fields = ["name", "email"]


@admin.register(Template)
class TemplateAdmin(admin.ModelAdmin):
    """The mails to choose from."""

    fields = ["name", "subject", "body"]
    list_display = ["name", "subject"]


@admin.register(Campaign)
class CampaignAdmin(JobsPanel, MadeByJobs):
    """Campaigns, newest first; “view on site” leads to the live page."""

    fields = ["name", "subject", "body"]
    list_display = ["name", "subject", "created_at", "job_id"]
    date_hierarchy = "created_at"


@admin.register(SentMail)
class SentMailAdmin(MadeByJobs):
    """The mails that went out."""

    list_display = ["campaign", "customer", "sent_at", "message_id"]
    list_select_related = ["campaign", "customer"]
    list_filter = ["campaign"]


@admin.register(Partner)
class PartnerAdmin(admin.ModelAdmin):
    """Partners and how their side answers."""

    list_display = ["name", "temper", "is_on"]


@admin.register(Delivery)
class DeliveryAdmin(JobsPanel, OnlyToRead):
    """What partners were told, and what they answered."""

    list_display = ["event", "partner", "created_at", "attempt", "answer", "delivered_at", "job_id"]
    list_select_related = ["partner"]
    list_filter = ["partner"]


@admin.register(Receipt)
class ReceiptAdmin(OnlyToRead):
    """What the partners' side remembers."""

    list_display = ["key", "partner", "calls", "taken_at"]
    list_select_related = ["partner"]


@admin.register(CustomerImport)
class CustomerImportAdmin(JobsPanel, OnlyToRead):
    """Files of customers; “view on site” leads to the live page."""

    fields = ["name", "created_at", "rows", "done", "added", "changed", "bad", "problems"]
    list_display = ["name", "created_at", "done", "added", "changed", "bad", "job_id"]


@admin.register(CustomerReport)
class CustomerReportAdmin(JobsPanel, OnlyToRead):
    """Reports; “view on site” leads to the live page."""

    list_display = ["__str__", "created_at", "finished_at", "rows", "job_id"]


@admin.register(NightlyReport)
class NightlyReportAdmin(OnlyToRead):
    """What the owner was told of each day."""

    list_display = ["__str__", "planned_at", "mails", "delivered", "failed", "mailed_at", "job_id"]


@admin.register(DayFigures)
class DayFiguresAdmin(OnlyToRead):
    """What the shop did, day by day."""

    list_display = ["day", "mails", "delivered", "failed", "imports", "customers", "as_of"]


@admin.register(Order)
class OrderAdmin(JobsPanel, admin.ModelAdmin):
    """Orders with their jobs; one that is saved here, or changed, has its events, too."""

    fields = ["customer", "what", "cents", "status"]
    autocomplete_fields = ["customer"]
    list_display = ["__str__", "customer", "what", "price", "status", "placed_at", "job_id"]
    list_select_related = ["customer"]
    list_filter = ["status"]
