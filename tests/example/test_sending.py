"""How a partner is told over HTTP: by a real server on this machine, and by none."""

import json
import socket

import pytest

from example_project.shop.webhooks import sending


def send(url):
    return sending.send(url, "key-1", "order.paid", {"order": 7})


def test_the_event_goes_as_json_with_its_key(server):
    server.answer_with(200, b"taken")
    assert send(f"{server.url}/hook") == "200 OK: taken"
    ((path, headers, body),) = server.calls
    assert path == "/hook"
    assert headers["Idempotency-Key"] == "key-1"
    assert headers["Content-Type"] == "application/json"
    assert json.loads(body) == {"event": "order.paid", "order": 7}


@pytest.mark.parametrize("status", [500, 503, 408, 425, 429])
def test_trouble_that_may_pass_is_worth_another_try(server, status):
    server.answer_with(status, b"not today")
    with pytest.raises(sending.NotNow, match=f"^{status} .*: not today$"):
        send(server.url)


@pytest.mark.parametrize("status", [400, 404, 410, 422])
def test_what_the_partner_does_not_want_is_final(server, status):
    server.answer_with(status)
    with pytest.raises(sending.NotWanted, match=f"^{status} "):
        send(server.url)


def test_a_redirect_is_not_followed(server):
    server.answer_with(302, Location="/elsewhere")
    with pytest.raises(sending.NotWanted, match=r"^302 Found$"):
        send(server.url)
    assert len(server.calls) == 1


def test_nobody_at_the_address_is_worth_another_try():
    with socket.create_server(("127.0.0.1", 0)) as once:
        port = once.getsockname()[1]
    with pytest.raises(sending.NotNow, match=r"no answer: .*refused"):
        send(f"http://127.0.0.1:{port}/")


def test_a_partner_who_says_nothing_is_not_waited_for_for_ever(monkeypatch):
    monkeypatch.setattr(sending, "TIMEOUT", 0.05)
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        pytest.raises(sending.NotNow, match=r"no answer: .*timed out"),
    ):
        send(f"http://127.0.0.1:{silent.getsockname()[1]}/")


def test_an_answer_that_is_not_http_is_worth_another_try(server):
    server.answer = lambda handler: handler.wfile.write(b"\x00\x01 hello?\r\n\r\n")
    with pytest.raises(sending.NotNow, match="no answer"):
        send(server.url)


@pytest.mark.parametrize("status", [200, 503])
def test_a_body_that_breaks_off_does_not_change_the_answer(server, status):
    server.answer_with(status, b"", Content_Length="100")
    if status == 200:
        assert send(server.url) == "200 OK"
    else:
        with pytest.raises(sending.NotNow, match=r"^503 Service Unavailable$"):
            send(server.url)


def test_of_a_long_or_unprintable_body_one_clean_line_is_kept(server):
    server.answer_with(200, b"ok\x00\x1b[31m" + b"x" * 100_000 + b"\nmore")
    line = send(server.url)
    assert line.startswith("200 OK: ok  [31mxxx")
    assert line.isprintable()
    assert len(line) <= sending.LINE


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://127.0.0.1/x"])
def test_only_addresses_of_the_web_are_called(url):
    with pytest.raises(sending.NotWanted, match="not an address of the web"):
        send(url)


def test_a_proxy_of_the_environment_is_not_asked_for_a_partner_on_this_machine(server, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert send(server.url) == "200 OK"
