"""A mail provider for the demo: writes each mail to a file, and is sometimes busy.

A real Anymail backend, so everything above it (messages with tags and metadata, statuses,
exceptions) is what a project with Mailgun or Postmark has. Nothing leaves the machine. It takes
one mail per idempotency key, for ever; few real providers do, and those forget keys after a day
or sooner.
"""

import contextlib
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from email import policy
from email.parser import BytesHeaderParser
from email.utils import parseaddr
from pathlib import Path
from typing import Any

from anymail.backends.base import AnymailBaseBackend
from anymail.backends.test import TestPayload
from anymail.exceptions import AnymailAPIError
from anymail.message import AnymailRecipientStatus
from anymail.utils import get_anymail_setting


class EmailBackend(AnymailBaseBackend):
    """Writes a mail to `folder`/‹its first tag›/‹message id›.eml.

    `refuse_once` lists the addresses whose mailbox is busy at the first attempt, per tag;
    `latency` is the time in seconds that one mail takes.
    """

    esp_name = "Outbox"

    def __init__(self, **kwargs: Any) -> None:
        self.folder = Path(self._option("folder", kwargs))
        self.refuse_once = frozenset(self._option("refuse_once", kwargs, ()))
        self.latency = float(self._option("latency", kwargs, 0))
        super().__init__(**kwargs)

    def _option(self, name: str, kwargs: dict[str, Any], *default: Any) -> Any:
        known = {"default": default[0]} if default else {}
        return get_anymail_setting(name, esp_name=self.esp_name, kwargs=kwargs, **known)

    def build_message_payload(self, message: Any, defaults: Any) -> TestPayload:
        """Return the message in the form that Anymail hands to a provider."""
        return TestPayload(backend=self, message=message, defaults=defaults)

    def post_to_esp(self, payload: TestPayload, message: Any) -> dict[str, Any]:
        """Accept the mail, or raise AnymailAPIError when a mailbox is busy.

        A mail whose metadata has an `idempotency_key` that came before gets the answer of then.
        """
        time.sleep(self.latency)
        params = payload.get_params()
        place = self.folder / params.get("tags", ["untagged"])[0]
        place.mkdir(parents=True, exist_ok=True)
        key = params.get("metadata", {}).get("idempotency_key")
        message_id = (uuid.uuid5(uuid.NAMESPACE_OID, key) if key else uuid.uuid4()).hex
        path = place / f"{message_id}.eml"
        if not path.exists():
            self._refuse_the_busy(place, payload, message)
            _write_once(path, message.message().as_bytes())
        return {"message_id": message_id, "accepted": payload.recipient_emails}

    def _refuse_the_busy(self, place: Path, payload: TestPayload, message: Any) -> None:
        for address in payload.recipient_emails:
            if address in self.refuse_once and _is_first(place, address):
                raise AnymailAPIError(
                    f"451 4.2.1 mailbox of {address} is busy, try again later",
                    email_message=message,
                    payload=payload,
                    backend=self,
                )

    def parse_recipient_status(
        self,
        response: dict[str, Any],
        payload: TestPayload,  # noqa: ARG002 - Anymail's signature
        message: Any,  # noqa: ARG002
    ) -> dict[str, AnymailRecipientStatus]:
        """Say that every recipient's mail is sent."""
        status = AnymailRecipientStatus(message_id=response["message_id"], status="sent")
        return dict.fromkeys(response["accepted"], status)


@dataclass(frozen=True, slots=True)
class Delivered:
    """A mail that lies in the outbox."""

    address: str
    message_id: str


def delivered(folder: Path, tag: str) -> Iterator[Delivered]:
    """Yield the mails with `tag` that were accepted: the record outside the database."""
    parser = BytesHeaderParser(policy=policy.default)
    for path in sorted((folder / tag).glob("*.eml")):
        headers = parser.parsebytes(path.read_bytes())
        yield Delivered(address=parseaddr(str(headers["To"]))[1], message_id=path.stem)


def _write_once(path: Path, content: bytes) -> None:
    """Write a file that is whole as soon as it is there; of two at once, the first stays."""
    draft = path.with_name(f"{uuid.uuid4().hex}.draft")
    draft.write_bytes(content)
    with contextlib.suppress(FileExistsError):
        path.hardlink_to(draft)
    draft.unlink()


def _is_first(place: Path, address: str) -> bool:
    """Say whether `address` is written to for the first time; remembers it for all processes."""
    try:
        (place / f"{address}.was-busy").touch(exist_ok=False)
    except FileExistsError:
        return False
    return True
