"""What the tests of our screens share."""

import html
import re


def page(client, address, **data):
    response = client.get(address, data)
    assert response.status_code == 200
    return response.content.decode()


def shown(client, address, **data):
    """Return what the page says: no tags, its whitespace folded."""
    text = page(client, address, **data).partition('<div id="content-main"')[2]
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", text)).split())


def press(client, verb, back, **data):
    """Press a button on the page `back`; return the messages that it left."""
    response = client.post(f"/admin/jobs/do/{verb}/", {**data, "back": back}, follow=True)
    assert response.status_code == 200
    assert response.redirect_chain[-1][0] == back
    return [str(message) for message in response.context["messages"]]


def verbs(client, address):
    """Return the verbs of the buttons on a page."""
    found = re.findall(r'action="/admin/jobs/do/([\w-]+)/"', page(client, address))
    return sorted(set(found))
