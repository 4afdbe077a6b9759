"""The tests' settings with django-unfold, whose templates have to come before the admin's."""

from tests.settings import *  # noqa: F403
from tests.settings import INSTALLED_APPS as OF_ALL_TESTS

INSTALLED_APPS = ["unfold", *OF_ALL_TESTS]
