"""The demo's mail provider: files, and mailboxes that are busy once."""

import pytest
from anymail.exceptions import AnymailAPIError
from anymail.message import AnymailMessage

from example_project.shop import outbox


@pytest.fixture
def provider_with_files(tmp_path):
    return outbox.EmailBackend(folder=tmp_path, refuse_once=["busy@example.com"], latency=0)


def message(to, tag="spring", key=None):
    mail = AnymailMessage("Hello", "Dear you", "shop@example.com", [to])
    mail.tags = [tag]
    if key:
        mail.metadata = {"idempotency_key": key}
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


def test_a_key_that_came_before_gets_the_answer_of_then_and_no_second_mail(
    provider_with_files, tmp_path
):
    mails = [message("ada@example.com", key="1:send") for _ in range(2)]
    for mail in mails:
        provider_with_files.send_messages([mail])
        assert mail.anymail_status.status == {"sent"}
    (only,) = outbox.delivered(tmp_path, "spring")
    assert {mail.anymail_status.message_id for mail in mails} == {only.message_id}


def test_another_key_is_another_mail(provider_with_files, tmp_path):
    for key in ("1:send", "2:send"):
        provider_with_files.send_messages([message("ada@example.com", key=key)])
    assert len({one.message_id for one in outbox.delivered(tmp_path, "spring")}) == 2


def test_of_two_mails_that_come_at_once_with_one_key_the_first_stays(tmp_path):
    for content in (b"first", b"second"):
        outbox._write_once(tmp_path / "id.eml", content)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"first"]


def test_a_key_is_not_used_up_by_a_mailbox_that_was_busy(provider_with_files, tmp_path):
    mail = message("busy@example.com", key="1:send")
    with pytest.raises(AnymailAPIError):
        provider_with_files.send_messages([mail])
    provider_with_files.send_messages([mail])
    assert len(list(outbox.delivered(tmp_path, "spring"))) == 1


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
