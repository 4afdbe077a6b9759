"""What the shop knows: customers, their mails and orders, partners and what they were told."""

import secrets
from pathlib import Path
from string import Template as Placeholders
from urllib.parse import urljoin

from django.conf import settings
from django.db import models
from django.urls import reverse


def new_key() -> str:
    """Return a random name for a row: what is outside the database knows it by that."""
    return secrets.token_hex(6)


def stored_name(_upload: models.Model, _name: str) -> str:
    """Return where an uploaded file lies; the visitor's name for it never touches the disk."""
    return f"imports/{new_key()}.csv"


class Customer(models.Model):
    """Somebody who buys here, and perhaps wants to hear of it."""

    name = models.CharField(max_length=100)
    email = models.EmailField(unique=True)
    # Who was imported has not agreed to anything: campaigns leave them out.
    subscribed = models.BooleanField(default=True)

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
    """A customer whom a campaign is for, the part of it that they are in, and the job that mails it.

    Written in the transaction that enqueues the job, so there is never one without the other.
    """

    campaign = models.ForeignKey(Campaign, on_delete=models.CASCADE, related_name="recipients")
    customer = models.ForeignKey(Customer, on_delete=models.CASCADE)
    part = models.PositiveIntegerField()
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


class Partner(models.Model):
    """Somebody who is told of events. The shop itself plays their side, see `webhooks/targets.py`."""

    class Temper(models.TextChoices):
        """How a partner's side answers."""

        STEADY = "steady", "takes everything at once"
        BUSY = "busy", "is busy twice, then takes it"
        SWITCHED = "switched", "can be switched on and off"
        GONE = "gone", "has moved away and wants nothing"

    name = models.CharField(max_length=100)
    slug = models.SlugField(unique=True)
    temper = models.CharField(max_length=10, choices=Temper, default=Temper.STEADY)
    is_on = models.BooleanField(default=True)

    class Meta:
        ordering = ["pk"]

    def __str__(self) -> str:
        return self.name

    @property
    def hook_url(self) -> str:
        """The address that is told of events."""
        return urljoin(settings.BASE_URL, reverse("shop:hook", args=[self.slug]))


class Delivery(models.Model):
    """An event that one partner is told of. Its key goes along, so that they can know a repetition."""

    partner = models.ForeignKey(Partner, on_delete=models.CASCADE, related_name="deliveries")
    key = models.CharField(max_length=12, unique=True, default=new_key, editable=False)
    event = models.CharField(max_length=50)
    payload = models.JSONField(default=dict)
    created_at = models.DateTimeField(auto_now_add=True)
    job_id = models.BigIntegerField(null=True, blank=True, editable=False)
    attempt = models.PositiveSmallIntegerField(default=0)
    answer = models.CharField(max_length=200, blank=True)
    delivered_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-pk"]
        verbose_name_plural = "deliveries"

    def __str__(self) -> str:
        return f"{self.event} to {self.partner}"


class Receipt(models.Model):
    """What a partner's side remembers of a delivery: how often it came, and whether it was taken."""

    partner = models.ForeignKey(Partner, on_delete=models.CASCADE)
    key = models.CharField(max_length=50)
    calls = models.PositiveIntegerField(default=0)
    taken_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["partner", "key"], name="shop_one_receipt_per_partner_and_key"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.key} at {self.partner}"


class CustomerImport(models.Model):
    """A file of customers, and how much of it is in.

    The counts are written in the transaction that writes the customers they count, so a job
    that runs again goes on where the last one stopped.
    """

    name = models.CharField(max_length=255)
    file = models.FileField(upload_to=stored_name)
    created_at = models.DateTimeField(auto_now_add=True)
    job_id = models.BigIntegerField(null=True, blank=True, editable=False)
    rows = models.PositiveIntegerField(null=True, blank=True)
    done = models.PositiveIntegerField(default=0)
    added = models.PositiveIntegerField(default=0)
    changed = models.PositiveIntegerField(default=0)
    bad = models.PositiveIntegerField(default=0)
    problems = models.JSONField(default=list, blank=True)

    class Meta:
        ordering = ["-pk"]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        """Return the address of its page."""
        return reverse("shop:import", args=[self.pk])

    @property
    def unchanged(self) -> int:
        """Rows that said what the shop knew before."""
        return self.done - self.added - self.changed - self.bad

    @property
    def percent(self) -> int:
        """Rows behind it in percent of all, rounded down so that 100 means all."""
        return 100 * self.done // self.rows if self.rows else 0


class CustomerReport(models.Model):
    """A table of all customers as a file; the file is there, whole, when `finished_at` is set."""

    # The file is named by the key: numbers of rows begin anew in another database.
    key = models.CharField(max_length=12, unique=True, default=new_key, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    job_id = models.BigIntegerField(null=True, blank=True, editable=False)
    rows = models.PositiveIntegerField(default=0)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-pk"]

    def __str__(self) -> str:
        return f"Customers #{self.pk}"

    def get_absolute_url(self) -> str:
        """Return the address of its page."""
        return reverse("shop:report", args=[self.pk])

    @property
    def path(self) -> Path:
        """Where its file lies, or will lie."""
        return Path(settings.MEDIA_ROOT) / "reports" / f"customers-{self.key}.csv"

    @property
    def is_ready(self) -> bool:
        """Whether it may be downloaded."""
        return self.finished_at is not None and self.path.is_file()


class Counted(models.Model):
    """What the shop did between two instants; the customers are all there were when it counted."""

    day = models.DateField()
    mails = models.PositiveIntegerField(default=0)
    delivered = models.PositiveIntegerField(default=0)
    failed = models.PositiveIntegerField(default=0)
    imports = models.PositiveIntegerField(default=0)
    customers = models.PositiveIntegerField(default=0)

    class Meta:
        abstract = True


class DayFigures(Counted):
    """A day so far, counted anew every minute until it is over."""

    as_of = models.DateTimeField()

    class Meta:
        ordering = ["-day"]
        verbose_name_plural = "day figures"
        constraints = [models.UniqueConstraint(fields=["day"], name="shop_one_row_per_day")]

    def __str__(self) -> str:
        return f"Figures of {self.day}"


class NightlyReport(Counted):
    """The report of the day that ended at `until`: one per planned time, and one by hand per day.

    `day` is the date of `until` where the shop is. `job_id` is the job that mails it.
    """

    # The mail is known by the key outside: numbers of rows begin anew in another database.
    key = models.CharField(max_length=12, unique=True, default=new_key, editable=False)
    planned_at = models.DateTimeField(null=True, blank=True)
    since = models.DateTimeField()
    until = models.DateTimeField()
    job_id = models.BigIntegerField(null=True, blank=True, editable=False)
    mailed_at = models.DateTimeField(null=True, blank=True)
    message_id = models.CharField(max_length=255, blank=True)

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["planned_at"], name="shop_one_nightly_report_per_planned_time"
            ),
            models.UniqueConstraint(
                fields=["day"],
                condition=models.Q(planned_at__isnull=True),
                name="shop_one_nightly_report_by_hand_per_day",
            ),
        ]

    def __str__(self) -> str:
        return f"Nightly report {self.day}"


class Order(models.Model):
    """What a customer wants to have. Paid, it is shipped; not paid in time, it is given up."""

    class Status(models.TextChoices):
        """How far it is; the last three are ends."""

        PLACED = "placed", "waits for payment"
        PAID = "paid", "paid"
        SHIPPED = "shipped", "shipped"
        CANCELLED = "cancelled", "cancelled by the customer"
        GIVEN_UP = "given up", "given up, never paid"

    # The mails are known by the key outside: numbers of rows begin anew in another database.
    key = models.CharField(max_length=12, unique=True, default=new_key, editable=False)
    customer = models.ForeignKey(Customer, on_delete=models.CASCADE)
    what = models.CharField(max_length=100)
    cents = models.PositiveIntegerField()
    status = models.CharField(max_length=10, choices=Status, default=Status.PLACED)
    placed_at = models.DateTimeField(auto_now_add=True)
    reminded_at = models.DateTimeField(null=True, blank=True)
    paid_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    job_id = models.BigIntegerField(null=True, blank=True, editable=False)

    class Meta:
        ordering = ["-pk"]

    def __str__(self) -> str:
        return f"Order #{self.pk}"

    @property
    def price(self) -> str:
        """The sum as people read it."""
        return f"{self.cents // 100}.{self.cents % 100:02}"
