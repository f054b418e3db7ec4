"""Who may ask: by Host, Origin, token and size, as requests reach the app."""

from __future__ import annotations

import asyncio
import json

import pytest

from textdiff.app.access import AccessRules
from textdiff.app.guard import Guarded
from textdiff.app.settings import Limits, UiSettings
from textdiff.errors import UsageError

PORT = 7860
TOKEN = "secret-token"
HOST = {"host": f"127.0.0.1:{PORT}"}


def rules_of(**settings) -> AccessRules:
    return AccessRules.of(UiSettings(model=["m"], **settings), PORT)


LOCAL = rules_of()
OPEN = rules_of(host="0.0.0.0", token=TOKEN, host_names=["pictures.example"])


class App:
    """Reads its body, then answers with headers that let other sites read it."""

    def __init__(self) -> None:
        self.asked: list[bytes] = []

    async def __call__(self, scope, receive, send) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        self.asked.append(body)
        headers = [(b"access-control-allow-origin", b"*"), (b"content-type", b"text/plain")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"fine"})


def answer(
    rules: AccessRules,
    headers: dict[str, str] | list[tuple[str, str]],
    *,
    method: str = "GET",
    query: str = "",
    parts: tuple[bytes, ...] = (b"",),
    kind: str = "http",
):
    """(app, messages that it sent) of one request."""
    pairs = list(headers.items()) if isinstance(headers, dict) else headers
    scope = {
        "type": kind,
        "method": method,
        "path": "/",
        "query_string": query.encode(),
        "headers": [(key.encode(), value.encode()) for key, value in pairs],
    }
    app, sent, queue = App(), [], list(parts)

    async def receive():
        part = queue.pop(0)
        return {"type": "http.request", "body": part, "more_body": bool(queue)}

    async def send(message):
        sent.append(message)

    asyncio.run(Guarded(app, rules)(scope, receive, send))
    return app, sent


def status(rules, headers, **request) -> int:
    app, sent = answer(rules, headers, **request)
    code = sent[0]["status"]
    assert bool(app.asked) == (code == 200), "what is refused reaches nothing"
    if code not in (200, 303):
        body = b"".join(each.get("body", b"") for each in sent)
        assert list(json.loads(body)) == ["error"]
    return code


@pytest.mark.parametrize(
    ("rules", "host", "expected"),
    [
        (LOCAL, "127.0.0.1:7860", 200),
        (LOCAL, "localhost", 200),
        (LOCAL, "LOCALHOST.:7860", 200),
        (LOCAL, "[::1]:7860", 200),
        (LOCAL, "127.0.0.2", 200),
        (LOCAL, "evil.example", 403),
        (LOCAL, "evil.example:7860", 403),
        (LOCAL, "127.0.0.1.evil.example", 403),
        (LOCAL, "evil.example@127.0.0.1", 200),  # no Host at all, but it names us alone
        (LOCAL, "192.168.1.7", 403),
        (LOCAL, "[::1", 403),
        (LOCAL, "", 403),
        (OPEN, "192.168.1.7:7860", 200),
        (OPEN, "pictures.example", 200),
        (OPEN, "evil.example", 403),
    ],
)
def test_host_names(rules, host, expected):
    given = {"host": host, "authorization": f"Bearer {TOKEN}"}
    assert status(rules, given) == expected


def test_no_host_or_two():
    assert status(LOCAL, {}) == 403
    assert status(LOCAL, [("host", "localhost"), ("host", "evil.example")]) == 403


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, 200),  # a program
        ({"origin": "http://127.0.0.1:7860"}, 200),
        ({"origin": "http://127.0.0.1:7861"}, 403),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": ""}, 403),
        ({"sec-fetch-site": "same-origin"}, 200),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
    ],
)
@pytest.mark.parametrize("method", ["POST", "DELETE", "PUT"])
def test_other_sites_change_nothing(headers, expected, method):
    assert status(LOCAL, {**HOST, **headers}, method=method) == expected


def test_a_link_from_another_site_opens_the_page():
    assert status(LOCAL, {**HOST, "sec-fetch-site": "cross-site"}) == 200


@pytest.mark.parametrize(
    ("headers", "query", "expected"),
    [
        ({}, "", 401),
        ({"authorization": f"Bearer {TOKEN}"}, "", 200),
        ({"authorization": f"bearer  {TOKEN}"}, "", 200),
        ({"authorization": f"Basic {TOKEN}"}, "", 401),
        ({"authorization": "Bearer wrong"}, "", 401),
        ({"authorization": "Bearer "}, "", 401),
        ({}, f"token={TOKEN}", 200),
        ({}, f"token=wrong&token={TOKEN}", 200),
        ({}, "token=", 401),
        ({}, f"Token={TOKEN}", 401),
        ({"cookie": f"a=b; textdiff-{PORT}={TOKEN}"}, "", 200),
        ({"cookie": f"textdiff-{PORT}=wrong"}, "", 401),
        ({"cookie": f"textdiff-1={TOKEN}"}, "", 401),
        ({"cookie": "\u00fc;=;;"}, "", 401),
    ],
)
def test_token(headers, query, expected):
    assert status(OPEN, {**HOST, **headers}, query=query) == expected


def test_a_token_is_asked_for_on_this_machine_too_if_one_is_given():
    assert status(rules_of(token=TOKEN), HOST) == 401


def test_a_token_is_made_for_any_address_but_this_machines_own():
    assert LOCAL.token is None
    first, second = rules_of(host="0.0.0.0").token, rules_of(host="0.0.0.0").token
    assert first
    assert first != second
    assert len(first) >= 32


@pytest.mark.parametrize("token", ["short", "with space in it", "semi;colon;s"])
def test_a_token_that_no_cookie_or_address_could_hold(token):
    with pytest.raises((UsageError, ValueError)):
        rules_of(token=token)


def test_a_browser_is_asked_for_the_token_and_then_keeps_it():
    browser = {**HOST, "accept": "text/html,*/*"}
    _, sent = answer(OPEN, browser)
    assert sent[0]["status"] == 401
    assert b'name="token"' in sent[1]["body"]
    app, sent = answer(OPEN, browser, query=f"token={TOKEN}&tab=2")
    headers = dict(sent[0]["headers"])
    assert (sent[0]["status"], headers[b"location"], app.asked) == (303, b"?tab=2", [])
    assert headers[b"set-cookie"].endswith(b"; HttpOnly; SameSite=Strict")
    cookie = headers[b"set-cookie"].partition(b";")[0].decode()
    assert status(OPEN, {**browser, "cookie": cookie}) == 200


def test_no_other_site_may_read_an_answer():
    headers = dict(answer(LOCAL, HOST)[1][0]["headers"])
    assert not [key for key in headers if key.startswith(b"access-control")]
    assert headers[b"x-content-type-options"] == b"nosniff"
    assert b"default-src 'self'" in headers[b"content-security-policy"]
    assert headers[b"content-type"] == b"text/plain"


SMALL = rules_of(limits=Limits(upload_bytes=1024))
MOST = SMALL.body_bytes


@pytest.mark.parametrize(
    ("parts", "stated", "expected"),
    [
        ((b"x" * MOST,), str(MOST), 200),
        ((b"x",), str(MOST + 1), 413),  # refused before it is read
        ((b"x" * MOST, b"x"), None, 413),
        ((b"x" * (MOST + 1),), "1", 413),
        ((b"x",), "many", 200),  # the HTTP parser's to refuse
    ],
)
def test_bodies_are_bounded_whatever_they_state(parts, stated, expected):
    length = {} if stated is None else {"content-length": stated}
    assert status(SMALL, {**HOST, **length}, method="POST", parts=parts) == expected


def test_websockets_are_refused_alike():
    _, sent = answer(LOCAL, {"host": "evil.example"}, kind="websocket")
    assert [each["type"] for each in sent] == ["websocket.close"]
    _, sent = answer(LOCAL, {**HOST, "origin": "http://evil.example"}, kind="websocket")
    assert [each["type"] for each in sent] == ["websocket.close"]
