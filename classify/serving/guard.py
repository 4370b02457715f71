"""The checks that every request passes first (Host, Origin, token), and the headers of every answer."""

import asyncio
import hmac
import json
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from classify.serving.batching import FAILED, Metrics, Refusal
from classify.serving.settings import Settings, is_address, is_loopback
from featurize.terminal import log, printable

# Needed without a token: what shows no data, and what asks whether the server lives.
OPEN = frozenset(
    "/ /page.css /page.js /docs /docs.js /openapi.json /example.png /v2/health/live /v2/health/ready".split()
)
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = [
    (b"content-security-policy", POLICY.encode("ascii")),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
]


class Guard:
    """An ASGI application around another one: checks Host, Origin and token, counts, and lets no error through."""

    def __init__(self, app: Any, settings: Settings, metrics: Metrics, paths: Callable[[str], str]):
        """`paths` gives the name under which a path is counted."""
        self.app, self.settings, self.metrics, self.paths = app, settings, metrics, paths
        self.token = None if settings.token is None else settings.token.encode("utf-8")
        self.hosts = allowed_hosts(settings)
        self.takes_addresses = not is_loopback(settings.host)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        begun, status = time.perf_counter(), 0
        root = self.settings.root_path
        if root and scope["path"].startswith(root + "/"):  # a proxy may leave it in front, or not
            scope = {**scope, "path": scope["path"].removeprefix(root)}
        path = self.paths(scope["path"])

        async def answer(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {**message, "headers": [*message.get("headers", []), *HEADERS]}
            await send(message)

        try:
            self._check(scope)
            await self.app(scope, receive, answer)
        except asyncio.CancelledError:  # the server ends, and this request took too long
            if not status:
                await refuse(answer, Refusal(503, "the server ends", retry_after=5))
        except Exception as error:
            if not isinstance(error, Refusal):
                log.error("a request failed: %s: %s", type(error).__name__, printable(str(error)))
                error = Refusal(500, FAILED)
            if not status:
                await refuse(answer, error)
        seconds = time.perf_counter() - begun
        self.metrics.requests.labels(path, str(status)).inc()
        self.metrics.seconds.labels(path).observe(seconds)
        log.debug("%s %s: %d, %.0f ms", scope["method"], printable(scope["path"]), status, 1000 * seconds)

    def _check(self, scope: Any) -> None:
        headers: dict[bytes, bytes] = {}
        for name, value in scope["headers"]:
            if name in (b"host", b"origin", b"authorization") and name in headers:
                raise Refusal(400, f"the header {name.decode()} comes twice")
            headers[name] = value
        host = headers.get(b"host", b"").decode("latin-1").lower()
        if not self._is_allowed(name_of(host)):
            reason = f"this server is not called {printable(host)!r}; --allow-host NAME lets it be"
            raise Refusal(403, reason)
        origin = headers.get(b"origin")
        if origin is not None and not self._is_own(origin.decode("latin-1").lower(), host):
            raise Refusal(403, f"pages of {printable(origin.decode('latin-1'))} may not use this server")
        if self.token is not None and scope["path"] not in OPEN:
            kind, _, given = headers.get(b"authorization", b"").partition(b" ")
            if kind.lower() != b"bearer" or not hmac.compare_digest(given.strip(), self.token):
                raise Refusal(401, "give the token: Authorization: Bearer TOKEN")

    def _is_allowed(self, name: str) -> bool:
        return name in self.hosts or (self.takes_addresses and is_address(name))

    def _is_own(self, origin: str, host: str) -> bool:
        """Whether a page is one of this server: same name and port, or, behind a proxy, a name that was allowed."""
        try:
            place = urlsplit(origin)
        except ValueError:
            return False
        if place.scheme not in ("http", "https"):
            return False
        return place.netloc == host or name_of(place.netloc) in self.settings.allow_host


async def refuse(send: Any, refusal: Refusal) -> None:
    """Answer with the reason, as JSON."""
    data = (json.dumps({"error": refusal.reason}, ensure_ascii=False) + "\n").encode("utf-8", "replace")
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(data))]
    if refusal.retry_after is not None:
        headers.append((b"retry-after", b"%d" % refusal.retry_after))
    if refusal.status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": data})


def name_of(host: str) -> str:
    """A host without its port.

    >>> name_of("localhost:8000"), name_of("[::1]:8000"), name_of("::1")
    ('localhost', '::1', '::1')
    """
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host if host.count(":") > 1 else host.partition(":")[0].removesuffix(".")


def allowed_hosts(settings: Settings) -> frozenset[str]:
    """By which names clients may call the server."""
    names = {"localhost", "127.0.0.1", "::1", settings.host.lower(), *settings.allow_host}
    return frozenset(names)
