"""The shop in Django's admin."""

from django.contrib import admin

from example_project.shop.models import Campaign, Customer, SentMail, Template


@admin.register(Customer)
class CustomerAdmin(admin.ModelAdmin):
    """Customers, found by name or address."""

    list_display = ["name", "email"]
    search_fields = ["name", "email"]


@admin.register(Template)
class TemplateAdmin(admin.ModelAdmin):
    """The mails to choose from."""

    list_display = ["name", "subject"]


@admin.register(Campaign)
class CampaignAdmin(admin.ModelAdmin):
    """Campaigns, newest first; “view on site” leads to the live page."""

    list_display = ["name", "subject", "created_at", "job_id"]
    date_hierarchy = "created_at"


@admin.register(SentMail)
class SentMailAdmin(admin.ModelAdmin):
    """The mails that went out."""

    list_display = ["campaign", "customer", "attempt", "sent_at", "message_id"]
    list_select_related = ["campaign", "customer"]
    list_filter = ["campaign"]
