"""A webhook: takes JSON messages by POST in a thread of its own, and never raises, waits or retries for long.

The URL of a webhook is a secret: whoever has it may post. It is in no message, warning or error of this module.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import queue
import re
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

WAIT = 5.0  # seconds without a byte after which a server is given up
LONGEST = 10.0  # seconds that one request may take
PAUSES = (1.0, 3.0)  # seconds before each retry
PATIENCE = 5.0  # seconds that the end of a search waits for the last message
MOST_WAITING = 16  # messages; further ones are dropped
ALLOWED = "must be an http:// or https:// URL of printable ASCII characters without spaces, quotes, user or password"

Message = dict[str, Any]
_URL = re.compile(r"[Hh][Tt][Tt][Pp][Ss]?://[]!#-&(-;=?-\[_a-z~]{1,2000}")


def wrong_url(url: str) -> str:
    """Why this cannot be the URL of a webhook, without the URL, which is a secret; empty if it can."""
    try:
        parts = urlsplit(url)
        is_right = bool(_URL.fullmatch(url) and parts.hostname and "@" not in parts.netloc) and parts.port != 0
    except ValueError:  # of a port or an IPv6 address
        is_right = False
    return "" if is_right else ALLOWED


class Webhook:
    """Sends messages one after the other; `fails` is called once, in another thread, with why one did not arrive."""

    def __init__(self, url: str, *, fails: Callable[[str], None]) -> None:
        self._url, self._fails, self._failed = url, fails, False
        self._waiting: queue.Queue[tuple[Message, Callable[[], None]] | None] = queue.Queue(MOST_WAITING)
        self._thread: threading.Thread | None = None
        self._turn = threading.Lock()

    def send(self, message: Message, *, lost: Callable[[], None] = lambda: None) -> None:
        """Sends a message later; returns at once. `lost`: called in another thread if it did not arrive."""
        with contextlib.suppress(queue.Full):
            self._waiting.put_nowait((message, lost))
        if self._thread is None:
            self._thread = threading.Thread(target=self._post_all, name="webhook", daemon=True)
            self._thread.start()

    def finish(self, patience: float = PATIENCE) -> None:
        """Waits until every message has been posted or given up, at most `patience` seconds."""
        if self._thread is None:
            return
        with contextlib.suppress(queue.Full):
            self._waiting.put_nowait(None)
        self._thread.join(patience)
        if self._thread.is_alive():
            self._fail(f"no answer within {patience:g} s")

    def _post_all(self) -> None:
        while (entry := self._waiting.get()) is not None:
            message, lost = entry
            if reason := posted(self._url, message):
                lost()
                self._fail(reason)

    def _fail(self, reason: str) -> None:
        """Tells the first failure."""
        with self._turn:
            failed, self._failed = self._failed, True
        if not failed:
            self._fails(reason)


def posted(url: str, message: Message) -> str:
    """Posts a message; returns why it did not arrive, empty if it did. Retries what may pass, twice."""
    body = json.dumps(message, allow_nan=False).encode()
    for pause in (*PAUSES, None):
        reason, may_pass = _post(url, body)
        if not may_pass or pause is None:
            return reason
        time.sleep(pause)
    raise AssertionError("the last pause is None")


def _post(url: str, body: bytes) -> tuple[str, bool]:
    """Posts once; returns why it failed, and whether a retry may help.

    After a request that was sent and not answered, the message may have arrived: a retry could double it.
    """
    headers = {"Content-Type": "application/json", "User-Agent": "hpsearch"}
    try:
        request = urllib.request.Request(url, data=body, headers=headers, method="POST")
        with _opener().open(request, timeout=WAIT) as answer:
            answer.read(1)
        return "", False
    except urllib.error.HTTPError as error:
        error.close()
        redirects = " (redirects are not followed)" if 300 <= error.code < 400 else ""
        return f"it answered HTTP {error.code}{redirects}", error.code == 429 or error.code >= 500
    except urllib.error.URLError as error:  # before the request was sent
        return _said(error.reason), True
    except Exception as error:  # no answer, or one that is not HTTP; a message must never end the thread
        return _said(error), False


def _said(error: object) -> str:
    """An error in a few words, without the URL."""
    if isinstance(error, TimeoutError):
        return f"no answer within {WAIT:g} s"
    if isinstance(error, OSError) and error.strerror:
        return str(error.strerror)
    return type(error).__name__ if isinstance(error, Exception) else "it cannot be reached"


# --------------------------------------------------------------------------------------------------------- the opener


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Treats a redirect as a failure: the message is for the server that the user names."""

    def redirect_request(self, *arguments: Any) -> None:
        """Refuses every redirect."""


class _Http(urllib.request.HTTPHandler):
    """Connects with an end to the whole request: a server that sends a byte now and then would hold it for ever."""

    def http_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        """Sends the request."""
        return self.do_open(_Limited, request)


class _Https(urllib.request.HTTPSHandler):
    """The same with TLS."""

    def https_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        """Sends the request."""
        return self.do_open(_LimitedTls, request)


class _Limited(http.client.HTTPConnection):
    def connect(self) -> None:
        super().connect()
        _limit(self.sock)


class _LimitedTls(http.client.HTTPSConnection):
    def connect(self) -> None:
        super().connect()
        _limit(self.sock)


def _limit(connected: socket.socket) -> None:
    """Ends what is left of the connection after LONGEST seconds."""
    timer = threading.Timer(LONGEST, _cut, [connected])
    timer.daemon = True
    timer.start()


def _cut(connected: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connected.shutdown(socket.SHUT_RDWR)


def _opener() -> urllib.request.OpenerDirector:
    """An opener for http and https alone; it takes the proxies of the environment."""
    return urllib.request.build_opener(_Http, _Https, _NoRedirects)
