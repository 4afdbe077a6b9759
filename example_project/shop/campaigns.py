"""Starts a campaign: the row and the job that works on it, together or not at all."""

from django.db import transaction

from example_project.shop.jobs import send_campaign
from example_project.shop.models import Campaign, Template


def start(template: Template) -> Campaign:
    """Return a new campaign with the text that `template` has now; its job waits for a worker."""
    with transaction.atomic():
        campaign = Campaign.objects.create(
            name=template.name, subject=template.subject, body=template.body
        )
        campaign.job_id = send_campaign.using(about=campaign).enqueue(campaign.pk).id
        campaign.save(update_fields=["job_id"])
    return campaign
