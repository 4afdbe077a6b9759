"""A mail provider that keeps a ledger of what it is asked for, and is slow to answer.

A "begin" is a mail that it was asked to take, an "end" one that it has taken; both carry the job
and the customer. The answer comes a moment later: whoever dies meanwhile never hears of it.
"""

import os
import time

from example_project.shop import outbox
from tests.crash.ledger import note

FORGETFUL = "TEST_FORGETFUL_PROVIDER"
ANSWERS_AFTER = 0.1


class EmailBackend(outbox.EmailBackend):
    """The demo's provider; with FORGETFUL in the environment it heeds no keys."""

    def post_to_esp(self, payload, message):
        metadata = payload.get_params()["metadata"]
        job_id = int(metadata["idempotency_key"].split(":")[1])
        if FORGETFUL in os.environ:
            del metadata["idempotency_key"]
        note("begin", job_id, metadata["customer"])
        answer = super().post_to_esp(payload, message)
        note("end", job_id, metadata["customer"])
        time.sleep(ANSWERS_AFTER)
        return answer
