"""`EMAIL_URL` in both spellings of Django's mail settings."""

import pytest
from django.core.exceptions import ImproperlyConfigured

from example_project import mailers


def test_a_provider_of_anymail_gets_its_options():
    mailer = mailers.parse("anymail://mailgun?api_key=k&sender_domain=d", {})
    options = {"api_key": "k", "sender_domain": "d"}
    assert mailers.as_mailers(mailer)["default"] == {
        "BACKEND": "anymail.backends.mailgun.EmailBackend",
        "OPTIONS": options,
    }
    assert mailers.as_old_settings(mailer) == {
        "EMAIL_BACKEND": "anymail.backends.mailgun.EmailBackend",
        "ANYMAIL": {"MAILGUN_API_KEY": "k", "MAILGUN_SENDER_DOMAIN": "d"},
    }


def test_a_mail_server_is_reached_with_its_unquoted_password():
    mailer = mailers.parse("smtps://user:p%40ss@mail.example.com", {})
    assert mailer.options == {
        "host": "mail.example.com",
        "port": 587,
        "username": "user",
        "password": "p@ss",
        "use_tls": True,
    }
    assert mailers.as_old_settings(mailer)["EMAIL_HOST_PASSWORD"] == "p@ss"


def test_the_outbox_gets_the_options_of_the_settings():
    mailer = mailers.parse("outbox:", {"folder": "/somewhere"})
    assert mailers.as_old_settings(mailer)["ANYMAIL"] == {"OUTBOX_FOLDER": "/somewhere"}


@pytest.mark.parametrize("url", ["", "mailto:me@example.com", "anymail:", "smtp:"])
def test_an_address_that_means_nothing_is_refused_with_the_choices(url):
    with pytest.raises(ImproperlyConfigured, match="Use outbox:, anymail://"):
        mailers.parse(url, {})
