"""The engine for PostgreSQL: one statement per verb, arrays in, rows out."""

from django_jobs.engines.postgresql.beating import Beating
from django_jobs.engines.postgresql.claiming import Claiming
from django_jobs.engines.postgresql.eventing import Eventing
from django_jobs.engines.postgresql.finishing import Finishing
from django_jobs.engines.postgresql.hurrying import Hurrying
from django_jobs.engines.postgresql.inserting import Inserting
from django_jobs.engines.postgresql.listening import Listening
from django_jobs.engines.postgresql.operating import Operating
from django_jobs.engines.postgresql.rescuing import Rescuing
from django_jobs.engines.postgresql.stepping import Stepping
from django_jobs.engines.postgresql.tallying import Tallying


class PostgreSQLEngine(
    Inserting,
    Claiming,
    Finishing,
    Rescuing,
    Operating,
    Listening,
    Stepping,
    Eventing,
    Beating,
    Hurrying,
    Tallying,
):
    """All verbs on PostgreSQL (15 or newer)."""
