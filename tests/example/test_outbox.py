"""The demo's mail provider: files, and mailboxes that are busy once."""

import pytest
from anymail.exceptions import AnymailAPIError
from anymail.message import AnymailMessage

from example_project.shop import outbox


@pytest.fixture
def provider_with_files(tmp_path):
    return outbox.EmailBackend(folder=tmp_path, refuse_once=["busy@example.com"], latency=0)


def message(to, tag="spring"):
    mail = AnymailMessage("Hello", "Dear you", "shop@example.com", [to])
    mail.tags = [tag]
    return mail


def test_an_accepted_mail_lies_in_the_outbox_under_the_id_that_its_sender_got(
    provider_with_files, tmp_path
):
    mail = message("Ada <ada@example.com>")
    assert provider_with_files.send_messages([mail]) == 1
    found = list(outbox.delivered(tmp_path, "spring"))
    assert [(one.address, one.message_id) for one in found] == [
        ("ada@example.com", mail.anymail_status.message_id)
    ]
    assert mail.anymail_status.status == {"sent"}


def test_a_mail_that_is_sent_twice_is_seen_twice(provider_with_files, tmp_path):
    provider_with_files.send_messages([message("ada@example.com"), message("ada@example.com")])
    assert len(list(outbox.delivered(tmp_path, "spring"))) == 2


def test_a_busy_mailbox_takes_the_mail_at_the_second_attempt(provider_with_files, tmp_path):
    with pytest.raises(AnymailAPIError, match="is busy, try again"):
        provider_with_files.send_messages([message("busy@example.com")])
    assert not list(outbox.delivered(tmp_path, "spring"))
    provider_with_files.send_messages([message("busy@example.com")])
    assert len(list(outbox.delivered(tmp_path, "spring"))) == 1


def test_a_mailbox_is_busy_again_in_the_next_campaign(provider_with_files):
    for tag in ("spring", "summer"):
        with pytest.raises(AnymailAPIError):
            provider_with_files.send_messages([message("busy@example.com", tag)])
