"""What only PostgreSQL does: session settings, poolers, LISTEN and NOTIFY."""

import pytest
from django.db import OperationalError, connection, connections

from django_jobs.conf import get_settings
from django_jobs.engines import engine_class, own_engine
from tests.engines.rivals import until
from tests.engines.scenes import Scene

pytestmark = [pytest.mark.postgresql, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def configure(settings):
    """Return a setter of DJANGO_JOBS."""

    def configure(**values):
        settings.DJANGO_JOBS = values
        get_settings.cache_clear()

    return configure


@pytest.fixture
def own(transactional_db):
    """Return a maker of engines on connections of their own, in this thread's slot."""
    before, made = connections["default"], []

    def make(lease=60.0):
        made.append(own_engine("default", "django_jobs test", lease))
        return made[-1]

    yield make
    for engine in made:
        engine.connection.close()
    connections["default"] = before


@pytest.fixture
def listener(transactional_db):
    """Return a listener."""
    heard = engine_class(connection)(connection).listener()
    yield heard
    heard.close()


def shown(engine, *names):
    found = {}
    for name in names:
        with engine.connection.cursor() as cursor:
            cursor.execute(f"SHOW {name}")
            found[name] = cursor.fetchone()[0]
    return found


TUNED = {
    "application_name": "django_jobs test",
    "jit": "off",
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "lock_timeout": "5s",
    "statement_timeout": "30s",
    "idle_in_transaction_session_timeout": "1min",
    "synchronous_commit": "on",
    "client_connection_check_interval": "10s",
    "transaction_isolation": "read committed",
}


def test_a_worker_s_own_session_is_tuned(own):
    assert shown(own(), *TUNED) == TUNED


def test_a_short_lease_shortens_the_patience_with_idle_transactions(own):
    setting = "idle_in_transaction_session_timeout"
    assert shown(own(0.5), setting) == {setting: "1s"}


def test_the_project_s_own_session_options_survive(own, monkeypatch):
    options = {"options": "-c work_mem=5MB", "connect_timeout": 9}
    monkeypatch.setitem(connections["default"].settings_dict, "OPTIONS", options)
    engine = own()
    assert shown(engine, "work_mem", "jit") == {"work_mem": "5MB", "jit": "off"}
    assert engine.connection.get_connection_params()["connect_timeout"] == 9


def test_the_project_s_pool_and_isolation_level_are_not_used(own, monkeypatch):
    options = {"pool": True, "isolation_level": 4}
    monkeypatch.setitem(connections["default"].settings_dict, "OPTIONS", options)
    engine = own()
    assert shown(engine, "transaction_isolation")["transaction_isolation"] == "read committed"
    assert engine.connection.pool is None


def test_behind_a_pooler_the_settings_live_in_each_transaction_only(own, configure):
    configure(POOLED=True, LEASE=30.0)
    engine = own()
    plain = shown(engine, "jit", "lock_timeout")
    assert plain != {"jit": "off", "lock_timeout": "5s"}
    with engine.transaction():
        inside = shown(engine, "jit", "lock_timeout", "idle_in_transaction_session_timeout")
    assert inside == {
        "jit": "off",
        "lock_timeout": "5s",
        "idle_in_transaction_session_timeout": "30s",
    }
    assert shown(engine, "jit", "lock_timeout") == plain


def test_behind_a_pooler_every_verb_carries_the_settings(own, configure):
    configure(POOLED=True)
    scene = Scene(own())
    hold = scene.run_one()
    seen = []

    def look(execute, sql, params, many, context):
        if "UPDATE django_jobs_job " in sql:
            seen.append(shown(scene.engine, "enable_seqscan")["enable_seqscan"])
        return execute(sql, params, many, context)

    with scene.engine.connection.execute_wrapper(look):
        scene.finish(hold)
        scene.run_one()
    assert seen == ["off", "off"]


def test_behind_a_pooler_nobody_listens(configure):
    configure(POOLED=True)
    assert engine_class(connection)(connection).listener() is None


def test_without_listen_nobody_listens_and_nobody_is_told(configure, listener):
    configure(LISTEN=False)
    engine = engine_class(connection)(connection)
    assert engine.listener() is None
    engine.notify(["mail"])
    listener.say("echo")
    assert until(lambda: listener.wait(5), "the echo") == {"echo"}


def hear_all(listener, names):
    heard = set()
    until(lambda: heard.update(listener.wait(5)) or heard >= names, f"{names}")
    return heard


def test_a_listener_hears_which_queues_have_work(listener):
    names = {"mail", 'odd "name" {x}, \\y'}
    engine_class(connection)(connection).notify(names)
    assert hear_all(listener, names) == names


def test_a_listener_hears_itself(listener):
    listener.say("echo")
    assert hear_all(listener, {"echo"}) == {"echo"}


def test_a_listener_returns_when_there_is_nothing_to_hear(listener):
    assert listener.wait(0.01) == set()


def test_a_listener_that_lost_its_connection_says_so_in_django_s_words(listener):
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'django_jobs listener' AND datname = current_database()"
        )
    with pytest.raises(OperationalError):
        until(lambda: listener.wait(5), "the end of the connection")


def test_nothing_is_heard_of_a_transaction_that_rolled_back(listener):
    from django.db import transaction

    engine = engine_class(connection)(connection)
    with transaction.atomic():
        engine.notify(["lost"])
        transaction.set_rollback(True)
    engine.notify(["kept"])
    assert hear_all(listener, {"kept"}) == {"kept"}
