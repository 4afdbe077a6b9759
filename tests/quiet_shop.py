"""The shop as the tests install it: it has no schedules, and hears nothing, unless a test asks.

Otherwise its schedules would be in every test's database, every worker of a test would look after
them, and the shop would follow the orders that other tests send events of.
"""

from importlib import import_module

from django_jobs import registry
from example_project.shop.apps import ShopConfig

TAKEN = {}
"""The schedules that its jobs declare, by the names of the jobs."""
DEAF = {}
"""What its jobs listen to, by their names."""
SHOP = "example_project.shop."


class QuietShop(ShopConfig):
    """The app `shop`, without its schedules and triggers."""

    def ready(self):
        super().ready()
        import_module(f"{SHOP}jobs")  # wants the models
        for definition in registry.definitions():
            if not definition.func.__module__.startswith(SHOP):
                continue
            if definition.schedules:
                TAKEN[definition.name], definition.schedules = definition.schedules, ()
            if definition.on:
                DEAF[definition.name], definition.on = definition.on, ()
