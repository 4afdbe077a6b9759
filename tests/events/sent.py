"""What was sent, as tests like to read it."""

import json

from django_jobs.models import Event as EventRow


def told():
    """The changes of each event that was sent."""
    return [data["changed"] for data in datas()]


def datas():
    return [
        json.loads(text) for text in EventRow.objects.order_by("id").values_list("data", flat=True)
    ]


def names():
    return list(EventRow.objects.order_by("id").values_list("name", flat=True))
