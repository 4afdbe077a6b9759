"""Which files are tables of customers, and which of their rows are customers."""

import io

import pytest

from example_project.shop.imports import reading
from example_project.shop.imports.sample import BAD, sample_csv


def read(data):
    return reading.read(io.BytesIO(data))


def problems(text):
    return [row.problem for row in read(f"name,email\n{text}".encode())]


@pytest.mark.parametrize(
    "data",
    [
        b"name,email\nAda L,Ada@Example.com\n",
        b"\xef\xbb\xbfname,email\r\nAda L,ada@example.com\r\n",
        b" Email ;NAME\nada@example.com; Ada L",
        b'name,phone,email\n"Ada L",,ada@example.com\n\n,,\n',
        b"name,email\rAda L,ada@example.com\r",
    ],
    ids=["plain", "from a spreadsheet", "semicolons", "more columns", "old line ends"],
)
def test_a_customer_is_read_however_the_table_was_written(data):
    (row,) = read(data)
    assert (row.name, row.email, row.problem) == ("Ada L", "ada@example.com", "")


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "names no column name and no column email"),
        (b"name\nAda", "names no column email"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "not text in UTF-8"),
        (b"name,email\nAd\x00a,ada@example.com", "zero bytes"),
        ("name,email\nÄda,a@example.com".encode("utf-16"), "not text in UTF-8"),
        (b"name,email\n" + b"x" * reading.MAX_BYTES, "too big"),
        (b"name,email\n" + b"a,b\n" * (reading.MAX_ROWS + 1), "too many rows"),
        (b'name,email\n"' + b"x" * 200_000, "is no CSV"),
    ],
)
def test_what_is_no_table_of_customers_is_refused_in_words(data, why):
    with pytest.raises(reading.BadFile, match=why):
        read(data)


@pytest.mark.parametrize(
    ("row", "why"),
    [
        (",ada@example.com", "no name"),
        ("Ada,", "no address"),
        ("Ada,ada", "no address: 'ada'"),
        ("Ada", "cells: 1, in the first line: 2: 'Ada'"),
        ("Ada,ada@example.com,x", "cells: 3, in the first line: 2: 'Ada,ada@example.com,x'"),
        ("a" * 101 + ",ada@example.com", f"the name is longer than 100 characters: '{'a' * 60}…'"),
        ('"A\nda",ada@example.com', r"the name is not printable: 'A\nda'"),
        ("A\x1bda,ada@example.com", r"the name is not printable: 'A\x1bda'"),
    ],
)
def test_a_bad_row_says_what_is_wrong_with_it(row, why):
    assert problems(row) == [why]


def test_one_bad_row_does_not_spoil_the_others():
    assert problems("Ada,ada@example.com\nBen,ben\nCleo,cleo@example.com") == [
        "",
        "no address: 'ben'",
        "",
    ]


def test_a_row_is_named_by_its_line():
    rows = read(b'name,email\n"A\nda",ada@example.com\n\nBen,ben\n')
    assert [row.line for row in rows] == [3, 5]


def test_of_the_sample_file_only_the_rows_meant_to_be_bad_are():
    rows = read(sample_csv().encode())
    assert len(rows) == 2_000 + len(BAD)
    assert len([row for row in rows if row.problem]) == len(BAD)
    good = [row.email for row in rows if not row.problem]
    assert len(set(good)) == 2_000
