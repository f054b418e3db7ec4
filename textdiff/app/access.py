"""Who may ask: the rules for every request, to the page and to the API.

    Host known ── Origin is ours, where something changes ── token ── stated size ──► may go on

A browser will send any page's requests to 127.0.0.1. The Host header tells a page whose name was
bound to this address afterwards (DNS rebinding), the Origin header one that posts across sites.
"""

from __future__ import annotations

import hmac
import ipaddress
import secrets
import socket
from collections.abc import MutableMapping
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from textdiff.app.settings import LOOPBACK, UiSettings

Scope = MutableMapping[str, Any]
Headers = list[tuple[bytes, bytes]]

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
TOKEN_BYTES = 24
ASK = """<!doctype html><html lang="en"><meta charset="utf-8"><title>textdiff</title>
<meta name="viewport" content="width=device-width"><body style="font: 1.1em system-ui; margin: 2em">
<form><label>This page needs the token that its server printed:<br>
<input name="token" type="password" autocomplete="off" autofocus></label> <button>Open</button>
</form></body></html>"""


@dataclass(frozen=True)
class Refusal:
    """Why a request goes no further. html: a page in place of the words, for a browser."""

    status: int
    error: str
    html: str | None = None


@dataclass(frozen=True)
class AccessRules:
    """What is asked of a request.

    token: that it must give; None: none.
    hosts: names that it may ask for.
    any_address: whether it may ask for any IP address, and not for this machine's own alone.
    body_bytes: the largest body.
    cookie: under which a browser keeps the token, one per port.
    """

    token: str | None
    hosts: frozenset[str]
    any_address: bool
    body_bytes: int
    cookie: str

    @classmethod
    def of(cls, settings: UiSettings, port: int) -> AccessRules:
        """Of the settings, for the `port` that is listened at. Without a token in them, one is made
        unless only this machine can reach the server."""
        token = settings.token
        if token is None and not settings.is_local:
            token = secrets.token_urlsafe(TOKEN_BYTES)
        names = {*LOOPBACK, settings.host, *settings.host_names}
        if not settings.is_local:
            names |= {socket.gethostname(), f"{socket.gethostname()}.local"}
        return cls(
            token=token,
            hosts=frozenset(name.lower() for name in names),
            any_address=not settings.is_local,
            body_bytes=settings.limits.body_bytes,
            cookie=f"textdiff-{port}",
        )

    def refusal(self, scope: Scope) -> Refusal | None:
        """Why the request may not go on; None: it may."""
        if not self.knows_host(header(scope, b"host")):
            return Refusal(
                403,
                "this server does not answer to that Host name; name it with --host-names where it "
                "is one of the server's own",
            )
        method = scope.get("method", "GET")
        if (method not in SAFE_METHODS or scope["type"] == "websocket") and _crosses_sites(scope):
            return Refusal(403, "a page of another site may not ask for this")
        if self.token is not None and not any(map(self._is_token, _tokens(scope, self.cookie))):
            return Refusal(401, "give the token that the server printed at its start", ASK)
        length = header(scope, b"content-length")
        if length is not None and length.isdigit() and int(length) > self.body_bytes:
            return self.too_large
        return None

    @property
    def too_large(self) -> Refusal:
        return Refusal(413, f"the request is larger than {self.body_bytes} bytes, the most here")

    def knows_host(self, value: str | None) -> bool:
        """Whether a Host header names this server."""
        if not value:
            return False
        try:
            name = (urlsplit(f"//{value}").hostname or "").rstrip(".")
        except ValueError:
            return False
        if name in self.hosts:
            return True
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return False
        return self.any_address or address.is_loopback

    def _is_token(self, given: str) -> bool:
        """In a time that does not tell how much of it is right."""
        assert self.token is not None
        return hmac.compare_digest(given.encode(), self.token.encode())

    def landing(self, scope: Scope) -> Headers | None:
        """For a browser that opens the page with the right token in its address: where to go on,
        without it, and a cookie in its place. None: anything else."""
        pairs = parse_qsl(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True)
        opens = scope.get("method") == "GET" and "text/html" in (header(scope, b"accept") or "")
        if self.token is None or not opens or "token" not in dict(pairs):
            return None
        rest = urlencode([(key, value) for key, value in pairs if key != "token"])
        cookie = f"{self.cookie}={self.token}; Path=/; HttpOnly; SameSite=Strict"
        target = "?" + rest if rest else "./"
        return [(b"location", target.encode("latin-1")), (b"set-cookie", cookie.encode("latin-1"))]


def header(scope: Scope, name: bytes) -> str | None:
    """The only header of this name; None where there is none, or more than one."""
    values = [value for key, value in scope["headers"] if key == name]
    return values[0].decode("latin-1") if len(values) == 1 else None


def _crosses_sites(scope: Scope) -> bool:
    """Whether a browser says that a page of another origin asks. Programs say nothing."""
    site = header(scope, b"sec-fetch-site")
    if site is not None and site not in ("same-origin", "none"):
        return True
    given = any(key == b"origin" for key, _ in scope["headers"])
    origin = header(scope, b"origin")
    return given and (origin is None or urlsplit(origin).netloc != header(scope, b"host"))


def _tokens(scope: Scope, cookie: str) -> list[str]:
    """All that a request gives: as a header, in its address, as a cookie."""
    found = []
    scheme, _, value = (header(scope, b"authorization") or "").partition(" ")
    if scheme.lower() == "bearer":
        found.append(value.strip())
    query = scope.get("query_string", b"").decode("latin-1")
    found += [value for key, value in parse_qsl(query) if key == "token"]
    try:
        cookies = SimpleCookie(header(scope, b"cookie") or "")
    except CookieError:
        return found
    return [*found, *([cookies[cookie].value] if cookie in cookies else [])]
