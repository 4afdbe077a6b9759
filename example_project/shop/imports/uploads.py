"""Starts an import: the file, its row and the job that works on it."""

from django.core.files.base import File
from django.db import transaction

from example_project.shop.jobs import import_customers
from example_project.shop.models import CustomerImport


def start(file: File) -> CustomerImport:
    """Keep `file`, which must have a name, and return its import; a job waits for a worker.

    A file cannot be rolled back: if the transaction is, it lies there and nobody knows it.
    """
    with transaction.atomic():
        upload = CustomerImport.objects.create(name=str(file.name)[:255], file=file)
        upload.job_id = import_customers.using(about=upload).enqueue(upload.pk).id
        upload.save(update_fields=["job_id"])
    return upload
