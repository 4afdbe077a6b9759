"""The portable engine: every verb by the ORM. Correct, not fast, and the reference meaning."""

from django_jobs.engines.orm.batching import Batching
from django_jobs.engines.orm.bulk import BulkRows
from django_jobs.engines.orm.calling import Calling
from django_jobs.engines.orm.claiming import Claiming
from django_jobs.engines.orm.eventing import Eventing
from django_jobs.engines.orm.finishing import Finishing
from django_jobs.engines.orm.inserting import Inserting
from django_jobs.engines.orm.operating import Operating
from django_jobs.engines.orm.reporting import Reporting
from django_jobs.engines.orm.rescuing import Rescuing
from django_jobs.engines.orm.settling import Settling
from django_jobs.engines.orm.stepping import Stepping
from django_jobs.engines.orm.tallying import Tallying
from django_jobs.engines.orm.ticking import TickVerbs
from django_jobs.engines.orm.waking import Waking


class ORMEngine(
    Inserting,
    Claiming,
    Finishing,
    Rescuing,
    Operating,
    Reporting,
    TickVerbs,
    Stepping,
    Eventing,
    Waking,
    Batching,
    Settling,
    Calling,
    Tallying,
    BulkRows,
):
    """All verbs, on any database that Django knows."""
