"""Turns an `EMAIL_URL` into Django's mail settings, new style and old.

| address | mails go |
|---|---|
| `outbox:` | into files, through the example's own Anymail backend (default) |
| `anymail://mailgun?api_key=…&sender_domain=…` | to that provider; any name Anymail knows |
| `anymail://test` | nowhere: Anymail's backend for tests |
| `smtp://user:password@host:587` (`smtps://` for TLS) | to a mail server |
| `console:` | to the screen |
"""

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

BUSY_MAILBOXES = ["grace.hopper@example.com", "alan.turing@example.com"]


@dataclass(frozen=True, slots=True)
class Mailer:
    """A mail backend and its options; `provider` is Anymail's name, empty without Anymail."""

    backend: str
    options: dict[str, Any] = field(default_factory=dict)
    provider: str = ""


def parse(url: str, outbox: dict[str, Any]) -> Mailer:
    """Return the mailer that `url` means; `outbox` holds the options of `outbox:`."""
    parts = urlsplit(url)
    match parts.scheme:
        case "outbox":
            return Mailer("example_project.shop.outbox.EmailBackend", outbox, "outbox")
        case "anymail" if parts.hostname:
            name = parts.hostname
            options = dict(parse_qsl(parts.query))
            return Mailer(f"anymail.backends.{name}.EmailBackend", options, name)
        case "smtp" | "smtps" if parts.hostname:
            return Mailer("django.core.mail.backends.smtp.EmailBackend", _smtp_options(parts))
        case "console":
            return Mailer("django.core.mail.backends.console.EmailBackend")
        case _:
            raise ImproperlyConfigured(
                f"EMAIL_URL starts with {parts.scheme!r}. Use outbox:, anymail://provider?…, "
                "smtp://user:password@host:port or console:"
            )


def as_mailers(mailer: Mailer) -> dict[str, Any]:
    """Return the setting `MAILERS` (Django 6.1 and newer)."""
    return {"default": {"BACKEND": mailer.backend, "OPTIONS": mailer.options}}


def as_old_settings(mailer: Mailer) -> dict[str, Any]:
    """Return `EMAIL_BACKEND` and its companions (Django 5.2 and 6.0)."""
    if mailer.provider:
        prefix = mailer.provider.upper()
        options = {f"{prefix}_{name.upper()}": value for name, value in mailer.options.items()}
        return {"EMAIL_BACKEND": mailer.backend, "ANYMAIL": options}
    renamed = {"username": "EMAIL_HOST_USER", "password": "EMAIL_HOST_PASSWORD"}
    options = {
        renamed.get(name, f"EMAIL_{name.upper()}"): value for name, value in mailer.options.items()
    }
    return {"EMAIL_BACKEND": mailer.backend, **options}


def _smtp_options(parts: Any) -> dict[str, Any]:
    return {
        "host": parts.hostname,
        "port": parts.port or (587 if parts.scheme == "smtps" else 25),
        "username": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
        "use_tls": parts.scheme == "smtps",
    }
