"""Workers killed in the middle of a campaign: nobody is left out, hardly anybody is mailed twice."""

from collections import Counter

import pytest

from django_jobs.models import Job
from django_jobs.states import State
from example_project.shop import campaigns, jobs, mail, outbox, parts
from example_project.shop.models import Customer, SentMail, Template
from tests.crash.conditions import say, until
from tests.crash.invariants import drained, unfinished
from tests.crash.processes import kill
from tests.crash.provider import FORGETFUL

CUSTOMERS = 60
KILLS = 4
OPTIONS = ("--processes", "2", "--threads", "2")


@pytest.fixture
def folder(tmp_path):
    """Return the folder in which the provider keeps the mails."""
    return tmp_path / "outbox"


@pytest.fixture
def provider(folder):
    """Return the variables of the provider, for the workers started afterwards."""
    return {"TEST_OUTBOX": str(folder)}


@pytest.fixture
def worker_variables(worker_variables, provider):
    """Return a function that gives the environment of a worker which mails."""
    own = {"DJANGO_SETTINGS_MODULE": "tests.crash.shop_settings"}
    return lambda: {**worker_variables(), **own, **provider}


@pytest.fixture
def template(transactional_db):
    """Return a template, for a shop with many customers."""
    Customer.objects.bulk_create(
        Customer(name=f"Guest {number}", email=f"guest{number}@example.com")
        for number in range(CUSTOMERS)
    )
    return Template.objects.create(name="Spring", subject="Hello", body="Dear $name")


class Killings:
    """The processes that were killed, and the mails that each of them had in flight."""

    def __init__(self, ledger):
        self._ledger = ledger
        self.pids = []

    def await_mails(self, number):
        """Wait until that many more mails are taken; return the process that sent the last one."""
        before = len(self._ledger.ends())
        until(lambda: len(self._ledger.ends()) >= before + number or drained(), what=unfinished)
        return self._ledger.ends()[-1].pid

    def note(self, pids):
        """Note that these processes are dead."""
        self.pids += pids

    def in_flight(self):
        """Return how often each mail was the last one of its job in a process that was killed."""
        last = {(entry.pid, entry.job_id): entry.attempt for entry in self._ledger.begins()}
        return Counter(
            (job_id, customer) for (pid, job_id), customer in last.items() if pid in self.pids
        )


def check_everybody_has_the_mail(campaign, killings, ledger):
    """Check that nobody is left out and that only mails in flight at a kill were sent again.

    Return how often each customer's mail was sent and taken once more.
    """
    in_flight = killings.in_flight()
    sent = Counter((entry.job_id, entry.attempt) for entry in ledger.begins())
    taken = Counter((entry.job_id, entry.attempt) for entry in ledger.ends())
    again = sent - Counter(set(sent))
    twice = taken - Counter(set(taken))
    say(
        f"{len(killings.pids)} processes killed, {in_flight.total()} mails in flight, {sent.total()} sends "
        f"of {CUSTOMERS} mails, {again.total()} sent again, {twice.total()} of these were taken"
    )
    assert again <= in_flight, "a mail that was not in flight at a kill was sent again"
    assert {customer for _, customer in taken} == set(Customer.objects.values_list("pk", flat=True))
    assert campaign.sent_mails.count() == CUSTOMERS
    assert set(Job.objects.values_list("state", flat=True)) == {State.SUCCESSFUL}
    assert Job.objects.filter(name=jobs.send_part.name).count() == -(-CUSTOMERS // parts.SIZE)
    return twice


def files_of(campaign, folder):
    """Return the number of mails to each address, and the ids of all mails."""
    mails = list(outbox.delivered(folder, mail.tag(campaign)))
    return Counter(one.address for one in mails), {one.message_id for one in mails}


@pytest.mark.parametrize("forgetful", [False, True], ids=["heeds keys", "heeds no keys"])
def test_only_mails_in_flight_at_a_kill_are_sent_again(
    workers, ledger, profile, template, folder, provider, forgetful
):
    if forgetful:
        provider[FORGETFUL] = "yes"
    profile(MAX_LOST=100)
    workers(*OPTIONS).ready(2)
    campaign, killings = campaigns.start(template), Killings(ledger)
    while len(killings.pids) < KILLS and not drained():
        pid = killings.await_mails(6)
        if kill(pid):
            killings.note([pid])
    until(drained, within=120.0, what=unfinished)
    twice = check_everybody_has_the_mail(campaign, killings, ledger)
    counts, ids = files_of(campaign, folder)
    assert len(killings.pids) > 2
    assert len(counts) == CUSTOMERS
    assert counts.total() == CUSTOMERS + (twice.total() if forgetful else 0)
    assert set(SentMail.objects.values_list("message_id", flat=True)) <= ids


def test_another_worker_goes_on_when_one_is_killed_with_all_its_processes(
    workers, ledger, template, folder
):
    tree = workers(*OPTIONS).ready(2)
    campaign, killings = campaigns.start(template), Killings(ledger)
    for _ in range(2):
        killings.await_mails(10)
        killings.note(tree.running())
        tree.kill_all()
        tree = workers(*OPTIONS)
    until(drained, within=120.0, what=unfinished)
    check_everybody_has_the_mail(campaign, killings, ledger)
    counts, _ = files_of(campaign, folder)
    assert set(counts.values()) == {1}
    assert len(counts) == CUSTOMERS
