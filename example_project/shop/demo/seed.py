"""Fills the shop: templates, customers, partners, and somebody who may see the admin."""

import secrets

from django.contrib.auth import get_user_model
from django.utils.text import slugify

from example_project import mailers
from example_project.shop.models import Customer, Partner, Template

ADMIN = "admin"

PEOPLE = """
Ada Lovelace, Adele Goldberg, Annie Easley, Barbara Liskov, Betty Holberton, Brian Kernighan,
Carol Shaw, Charles Babbage, Claude Shannon, Dennis Ritchie, Donald Knuth, Dorothy Vaughan,
Douglas Engelbart, Edsger Dijkstra, Evelyn Boyd, Frances Allen, Frances Spence, Gladys West,
Hedy Lamarr, Ida Rhodes, Jean Bartik, Jean Sammet, John Backus, John McCarthy, Joseph Weizenbaum,
Karen Jones, Kathleen Booth, Kathleen Antonelli, Ken Thompson, Konrad Zuse, Lynn Conway,
Margaret Hamilton, Marlyn Meltzer, Mary Jackson, Niklaus Wirth, Radia Perlman, Ruth Teitelbaum,
Tony Hoare
"""

TEMPLATES = {
    "Spring campaign": (
        "$first_name, the first strawberries are here",
        (
            "Dear $name,\n\nspring has come to the corner: strawberries, asparagus and peas, picked "
            "this morning. Show this mail at the till and take a punnet of strawberries home for "
            "half the price.\n\nYour Corner Shop"
        ),
    ),
    "Opening hours": (
        "We open earlier from Monday",
        (
            "Dear $name,\n\nfrom Monday on the shop opens at seven, so that you get your bread before "
            "the first train.\n\nYour Corner Shop"
        ),
    ),
    "Thank-you note": (
        "Thank you, $first_name",
        (
            "Dear $name,\n\nthe shop is ten years old today. We thank you for buying around the "
            "corner; there is cake all day.\n\nYour Corner Shop"
        ),
    ),
}

PARTNERS = {
    "Warehouse": Partner.Temper.STEADY,
    "Bookkeeper": Partner.Temper.BUSY,
    "Courier": Partner.Temper.SWITCHED,
    "Old newspaper": Partner.Temper.GONE,
}


def fill() -> None:
    """Add the customers, templates and partners that are not there yet."""
    addresses = [(name, _address(name)) for name in " ".join(PEOPLE.split()).split(", ")]
    # Those whose mailbox is busy at first come last, so that 38 of 40 can be seen for a while.
    busy = [
        (address.partition("@")[0].replace(".", " ").title(), address)
        for address in mailers.BUSY_MAILBOXES
    ]
    people = [Customer(name=name, email=address) for name, address in [*addresses, *busy]]
    Customer.objects.bulk_create(people, ignore_conflicts=True)
    for name, (subject, body) in TEMPLATES.items():
        Template.objects.get_or_create(name=name, defaults={"subject": subject, "body": body})
    for name, temper in PARTNERS.items():
        is_on = temper != Partner.Temper.SWITCHED
        fresh = {"name": name, "temper": temper, "is_on": is_on}
        Partner.objects.get_or_create(slug=slugify(name), defaults=fresh)


def make_admin() -> str:
    """Make the superuser and return the password; "" when there was one before."""
    users = get_user_model().objects
    if users.filter(username=ADMIN).exists():
        return ""
    password = secrets.token_urlsafe(9)
    users.create_superuser(ADMIN, "admin@example.com", password)
    return password


def _address(name: str) -> str:
    return f"{name.lower().replace(' ', '.')}@example.com"
