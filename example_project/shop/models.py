"""Who gets mail, what they get, and who got it."""

import secrets
from string import Template as Placeholders

from django.db import models
from django.urls import reverse


def new_key() -> str:
    """Return the default of `Campaign.key`."""
    return secrets.token_hex(6)


class Customer(models.Model):
    """Somebody who buys here and wants to hear of it."""

    name = models.CharField(max_length=100)
    email = models.EmailField(unique=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class MailText(models.Model):
    """Subject and body of a mail; `$name` and `$first_name` become the customer's."""

    subject = models.CharField(max_length=150)
    body = models.TextField()

    class Meta:
        abstract = True

    def text_for(self, customer: Customer) -> tuple[str, str]:
        """Return subject and body as `customer` reads them."""
        values = {"name": customer.name, "first_name": customer.name.partition(" ")[0]}
        return (
            Placeholders(self.subject).safe_substitute(values),
            Placeholders(self.body).safe_substitute(values),
        )


class Template(MailText):
    """A mail to choose from."""

    name = models.CharField(max_length=100, unique=True)

    class Meta:
        ordering = ["pk"]

    def __str__(self) -> str:
        return self.name


class Campaign(MailText):
    """One mailing to everybody: keeps the template's text as it was when it was sent."""

    name = models.CharField(max_length=100)
    key = models.CharField(max_length=12, unique=True, default=new_key, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    job_id = models.BigIntegerField(null=True, blank=True, editable=False)

    class Meta:
        ordering = ["-pk"]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        """Return the address of its page."""
        return reverse("shop:campaign", args=[self.pk])


class Recipient(models.Model):
    """A customer whom a campaign is for, and the job that mails them.

    Written in the transaction that enqueues the job, so there is never one without the other.
    """

    campaign = models.ForeignKey(Campaign, on_delete=models.CASCADE, related_name="recipients")
    customer = models.ForeignKey(Customer, on_delete=models.CASCADE)
    job_id = models.BigIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["campaign", "customer"], name="shop_recipient_once_per_campaign"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.customer} of {self.campaign}"


class SentMail(models.Model):
    """A mail that the provider has accepted: the reason not to send it again."""

    campaign = models.ForeignKey(Campaign, on_delete=models.CASCADE, related_name="sent_mails")
    customer = models.ForeignKey(Customer, on_delete=models.CASCADE)
    sent_at = models.DateTimeField(auto_now_add=True)
    attempt = models.PositiveSmallIntegerField()
    message_id = models.CharField(max_length=255, blank=True)

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["campaign", "customer"], name="shop_one_mail_per_campaign_and_customer"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.campaign} to {self.customer}"
