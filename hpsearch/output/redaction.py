"""Removes passwords and tokens from what is printed, logged or stored."""

from __future__ import annotations

import base64
import json
import logging
import os
import re
import sys
import threading
import traceback
import warnings
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, quote_plus

HIDDEN = "***"
NO_PASSWORDS = (
    "a URL with a password or token does not belong in this file; set MLFLOW_TRACKING_USERNAME and "
    "MLFLOW_TRACKING_PASSWORD (or MLFLOW_TRACKING_TOKEN) in the environment, for PostgreSQL PGPASSWORD or ~/.pgpass, "
    "for a storage what its fsspec package reads (as AWS_PROFILE)"
)

# Patterns of secrets. Every repetition is bounded, so that hostile text does not take minutes.
_PATTERNS = [
    (re.compile(pattern), shown)
    for pattern, shown in (
        (r"://[^\s'\"/@:]{0,200}:[^\s'\"]{1,500}@", f"://{HIDDEN}@"),
        (r"(?i)(https?://)[^\s'\"/]{1,500}@", rf"\1{HIDDEN}@"),
        (
            r"(?i)([?&][\w.-]{0,40}(?:passw|pwd|token|secret|key|signature|credential)[\w.-]{0,40}=)[^\s&#'\"]{1,4000}",
            rf"\1{HIDDEN}",
        ),
        (r"(?i)\b((?:password|passwd|pwd)\s?=\s?)(?:'[^']{1,500}'|[^\s'\",;)}]{1,500})", rf"\1{HIDDEN}"),
        (
            r"(?i)(authorization['\"]?\s{0,4}[:=,]\s{0,4}(?:b?['\"])?(?:(?:basic|bearer|token)\s{1,4})?)"
            r"[^\s'\",})]{1,4000}",
            rf"\1{HIDDEN}",
        ),
        (r"\bBearer\s{1,4}[\w.~+/-]{6,4000}=*", f"Bearer {HIDDEN}"),
        (
            r"\b(?:hf_|gh[pousr]_|dapi)[A-Za-z0-9]{20,100}",
            HIDDEN,
        ),  # Hugging Face, GitHub, Databricks
    )
]
_URL_PASSWORD = re.compile(
    r"\b[A-Za-z][\w+.-]{0,40}://[^\s'\"/@:]{0,200}:[^\s'\"/]{1,500}@"  # scheme://user:password@
    r"|\bhttps?://[^\s'\"/@]{1,500}@"  # a token in place of a user
    r"|\b(?:postgres|mysql|mariadb|mssql|oracle)[\w+]{0,40}://[^\s'\"/@:]{0,200}:[^\s'\"@]{1,500}@"  # may contain /
    r"|\b[A-Za-z][\w+.-]{0,40}://[^\s'\"]{0,500}[?&][\w.-]{0,40}(?:passw|pwd|token|secret)[\w.-]{0,40}=[^\s&'\"]",
    re.I,
)
_NAMES = re.compile(r"PASSWORD|PASSWD|PASSPHRASE|SECRET|(TOKEN|_KEY|APIKEY|_PASS|CREDENTIALS?|CONNECTION_STRING)$")
_SHORTEST = 6  # characters; a shorter value may be a common word
_WEBHOOK = "HPSEARCH_NOTIFY"  # whoever has the URL may post
_hidden: set[str] = set()  # what `hide` was given
_IDENTIFYING = 12  # characters that identify a long secret in a message that was cut


def redact(text: str) -> str:
    """Returns the text with *** for passwords in URLs, headers and DSNs, and for secrets of the environment."""
    for url in sorted(_hidden | _forms_of_url(os.environ.get(_WEBHOOK, "")), key=len, reverse=True):
        text = text.replace(url, HIDDEN)
    for value in sorted(_values(), key=len, reverse=True):
        text = text.replace(value, HIDDEN)
        if len(value) >= 2 * _IDENTIFYING and value[:_IDENTIFYING] in text:
            text = re.sub(re.escape(value[:_IDENTIFYING]) + r"[^\s'\"]{0,4000}", HIDDEN, text)
    for pattern, shown in _PATTERNS:
        text = pattern.sub(shown, text)
    return text


def hide(url: str) -> None:
    """Hides a URL of this process's own, and its path alone, in everything that `redact` is given from now on."""
    _hidden.update(_forms_of_url(url))


def url_with_password(text: str) -> int | None:
    """Returns the position of a URL with a password or a token in the text; None: there is none."""
    found = _URL_PASSWORD.search(text)
    return found.start() if found else None


def guard() -> None:
    """Redacts all tracebacks, warnings and log lines of this process from now on."""
    if sys.excepthook is sys.__excepthook__:  # else the user has installed another
        sys.excepthook = _show_exception
    if threading.excepthook is threading.__excepthook__:
        threading.excepthook = _show_thread_exception
    warnings.formatwarning = _format_warning
    logging.setLogRecordFactory(_Record)


class _Record(logging.LogRecord):
    """A log record without secrets, for every handler and formatter."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        if self.exc_info and self.exc_info[0] is not None:
            self.exc_text = redact("".join(traceback.format_exception(*self.exc_info)).rstrip())  # formatters reuse it

    def getMessage(self) -> str:  # noqa: N802  # logging's name
        return redact(super().getMessage())


def _show_exception(kind: Any, error: Any, trace: Any) -> None:
    sys.stderr.write(redact("".join(traceback.format_exception(kind, error, trace))))


def _show_thread_exception(caught: threading.ExceptHookArgs) -> None:
    if caught.exc_type is not SystemExit:
        _show_exception(caught.exc_type, caught.exc_value, caught.exc_traceback)


_plain_warning = warnings.formatwarning


def _format_warning(*arguments: Any, **options: Any) -> str:
    return redact(_plain_warning(*arguments, **options))


# ------------------------------------------------------------------------------------------------------ the environment


def _values() -> set[str]:
    """Returns the environment's secrets, as messages may show them."""
    secrets = {found for name, value in os.environ.items() for found in _secrets_in(name.upper(), value)}
    user, password = (os.environ.get(f"MLFLOW_TRACKING_{part}", "") for part in ("USERNAME", "PASSWORD"))
    forms = {form for secret in secrets if len(secret) >= _SHORTEST for form in _forms(secret)}
    return forms | ({base64.b64encode(f"{user}:{password}".encode()).decode()} if password else set())


def _secrets_in(name: str, value: str) -> Iterator[str]:
    """Yields the secrets in one variable: its value, or the password of a URL."""
    if _NAMES.search(name) and not (name.endswith("CREDENTIALS") and value.startswith(("/", "~"))):  # a path
        yield value
        yield from (line for line in value.splitlines() if len(line) >= 2 * _IDENTIFYING)  # lines of a PEM key
    if "://" in value and (found := re.search(r"://[^\s/@:]*:([^\s]+)@", value)):
        yield found[1]


def _forms_of_url(url: str) -> set[str]:
    """Returns a URL and its path with the query, as messages may show them; a short path may be that of a file."""
    url = url.strip()
    path = re.sub(r"^[a-z]+://[^/?#]*", "", url, flags=re.I)
    return {form for one in (url, path) if len(one) >= 2 * _IDENTIFYING for form in _forms(one)} | (
        {url} if url else set()
    )


def _forms(secret: str) -> set[str]:
    """Returns a secret as it is, URL-encoded and JSON-encoded."""
    return {secret, secret.strip(), quote(secret, safe=""), quote_plus(secret), json.dumps(secret)[1:-1]}
