import inspect

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_jobs.binding import Parameters
from tests import postponed


def of(function):
    return Parameters.of(function.__name__, inspect.signature(function))


def send(to: str, subject: str = "hello", *, loud: bool = False) -> None:
    pass


def anything(*args, **kwargs):
    pass


def placed(first, /, second):
    pass


def named(*, key):
    pass


names = st.sampled_from(["to", "subject", "loud", "first", "second", "key", "other"])


@given(
    st.sampled_from([send, anything, placed, named]),
    st.lists(st.integers(), max_size=3),
    st.dictionaries(names, st.integers(), max_size=3),
)
def test_a_call_is_taken_exactly_when_python_takes_it(function, args, kwargs):
    try:
        function(*args, **kwargs)
    except TypeError:
        with pytest.raises(TypeError, match="Nothing was enqueued"):
            of(function).check(tuple(args), kwargs)
    else:
        of(function).check(tuple(args), kwargs)


@pytest.mark.parametrize(
    ("function", "args", "kwargs", "problem"),
    [
        (send, (), {}, 'send() is missing "to".'),
        (send, (), {"loud": True}, 'send() is missing "to".'),
        (send, ("a", "b", "c"), {}, "send() takes 2 positional arguments, but 3 were given."),
        (send, ("a",), {"too": 1}, 'send() has no parameter "too". Did you mean "to"?'),
        (send, ("a",), {"zzz": 1}, 'send() has no parameter "zzz".'),
        (send, ("a",), {"to": "b"}, 'send() gets "to" twice: by place and by name.'),
        (placed, (), {"first": 1}, 'placed() is missing "first" and "second".'),
        (named, (), {}, 'named() is missing "key".'),
        (named, (1,), {}, "named() takes 0 positional arguments, but 1 were given."),
    ],
)
def test_a_wrong_call_names_the_parameter(function, args, kwargs, problem):
    with pytest.raises(TypeError) as caught:
        of(function).check(args, kwargs)
    assert str(caught.value).startswith(problem)


def test_the_message_shows_the_signature():
    with pytest.raises(TypeError) as caught:
        of(send).check((), {})
    assert str(caught.value) == (
        'send() is missing "to". Signature: '
        "send(to: str, subject: str = 'hello', *, loud: bool = False) -> None. "
        "Nothing was enqueued."
    )


def test_postponed_annotations_are_shown_without_quotation_marks():
    assert postponed.plain.parameters.describe() == "plain(number: int) -> int"
