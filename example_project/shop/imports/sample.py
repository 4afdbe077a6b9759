"""Makes a file to try the import with: a few thousand customers nobody knows, and some bad rows."""

import csv
import io
from itertools import product

ROWS = 2_000
EVERY = 250
"""After so many good rows comes a bad one."""

FIRST = [
    "Amal",
    "Bela",
    "Chidi",
    "Dana",
    "Emre",
    "Farah",
    "Goran",
    "Hana",
    "Ines",
    "Jonas",
    "Kofi",
    "Lena",
    "Mateo",
    "Nadia",
    "Olga",
    "Pavel",
    "Quentin",
    "Rosa",
    "Sami",
    "Tara",
    "Umar",
    "Vera",
    "Wanda",
    "Xenia",
    "Yuki",
    "Zora",
    "Anton",
    "Britta",
    "Carlo",
    "Dilan",
    "Elif",
    "Femi",
    "Greta",
    "Hugo",
    "Ivo",
    "Jana",
    "Karim",
    "Lucia",
    "Milan",
    "Noor",
]
LAST = [
    "Adler",
    "Baker",
    "Carter",
    "Dyer",
    "Ekberg",
    "Fisher",
    "Gardner",
    "Hunter",
    "Ironside",
    "Joiner",
    "Keller",
    "Lehmann",
    "Mason",
    "Naylor",
    "Osman",
    "Potter",
    "Quist",
    "Roper",
    "Sawyer",
    "Tanner",
    "Usher",
    "Vintner",
    "Weaver",
    "Yeoman",
    "Zimmer",
    "Archer",
    "Brewer",
    "Cooper",
    "Draper",
    "Farmer",
    "Glover",
    "Hooper",
    "Jansen",
    "Kramer",
    "Lange",
    "Miller",
    "Nolan",
    "Olsen",
    "Porter",
    "Ryder",
    "Slater",
    "Thatcher",
    "Turner",
    "Walker",
    "Wright",
    "Bauer",
    "Cobbler",
    "Fuller",
    "Harper",
    "Smith",
]

BAD = [
    ["Nora Nowhere", "nora.nowhere"],
    ["", "nobody@example.net"],
    ["<script>alert('bad row')</script>", "<b>not an address</b>"],
    ["One Cell Too Many", "one@example.net", "what is this?"],
    ["Lonely Name"],
    ['=HYPERLINK("https://example.net")', "=1+1"],
    ["N" * 120, "long.name@example.net"],
]


def sample_csv(rows: int = ROWS) -> str:
    """Return the file's text: at most `rows` good rows, with bad ones in between."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(["name", "email"])
    bad = iter(BAD)
    for number, (last, first) in enumerate(product(LAST, FIRST), start=1):
        if number > rows:
            break
        writer.writerow([f"{first} {last}", f"{first}.{last}@example.net".lower()])
        if number % EVERY == 0 and (row := next(bad, None)):
            writer.writerow(row)
    return out.getvalue()
