"""The shop as the tests install it: its schedules stay away unless a test asks for them.

Otherwise they would be in every test's database, and every worker of a test would look after them.
"""

from django_jobs import registry
from example_project.shop.apps import ShopConfig

TAKEN = {}
"""The schedules that its jobs declare, by the names of the jobs."""


class QuietShop(ShopConfig):
    """The app `shop`, without its schedules."""

    def ready(self):
        super().ready()
        from example_project.shop import jobs  # wants the models

        for definition in registry.definitions():
            if definition.schedules and definition.func.__module__ == jobs.__name__:
                TAKEN[definition.name] = definition.schedules
                definition.schedules = ()
