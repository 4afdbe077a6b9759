import pytest

from django_jobs import registry
from django_jobs.definitions import job
from django_jobs.exceptions import JobNotFound
from tests import jobs


def test_a_declared_job_is_found_by_its_name():
    assert registry.get("tests.jobs.add") is jobs.add


def test_a_job_is_found_by_its_former_name():
    assert registry.get("tests.jobs.charge_card") is jobs.charge


def test_an_unknown_name_is_answered_with_the_nearest_one():
    with pytest.raises(
        JobNotFound, match=r'no job "tests.jobs.sned". Did you mean "tests.jobs.send"\?'
    ):
        registry.get("tests.jobs.sned")


def test_a_name_that_resembles_nothing_gets_no_guess():
    with pytest.raises(JobNotFound) as caught:
        registry.get("zzz")
    assert "Did you mean" not in str(caught.value)
    assert "python manage.py jobs definitions" in str(caught.value)


def test_a_name_is_looked_up_and_never_imported():
    assert registry.find("os.path.join") is None


def test_definitions_come_in_the_order_of_their_names():
    names = [definition.name for definition in registry.definitions()]
    assert names == sorted(names)
    assert "tests.jobs.add" in names


def test_two_functions_of_one_name_are_remembered_with_both_places():
    @job(name="shop.double")
    def first():
        pass

    @job(name="shop.double")
    def second():
        pass

    assert registry.get("shop.double") is second
    assert ("shop.double", first.source, second.source) in registry.doubles()


def test_declaring_the_same_function_again_is_no_double():
    @job(name="shop.reloaded")
    def reloaded():
        pass

    registry.register(reloaded)
    assert [name for name, *_ in registry.doubles() if name == "shop.reloaded"] == []


def test_a_forgotten_job_is_gone_with_its_former_names():
    @job(name="shop.gone", aliases=["shop.old"])
    def gone():
        pass

    registry.unregister("shop.gone")
    assert registry.find("shop.gone") is None
    assert registry.find("shop.old") is None
