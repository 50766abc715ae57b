"""A webhook gets each message once; one that is dead, slow or hostile costs a warning."""

import threading
import time

import pytest

from hpsearch.output import webhook
from hpsearch.output.webhook import Webhook, posted, wrong_url
from tests.webhooks import babble, drip, free_port, hang, redirect, served


@pytest.fixture(autouse=True)
def short(monkeypatch):
    """Short waits: the same code as with the real ones."""
    monkeypatch.setattr(webhook, "WAIT", 0.3)
    monkeypatch.setattr(webhook, "LONGEST", 0.6)
    monkeypatch.setattr(webhook, "PAUSES", (0.01, 0.02))


@pytest.mark.parametrize(
    "url",
    ["http://host", "https://hooks.example/services/T0/B0/x?a=b&c=d#e", "HTTP://[::1]:8080/a", "http://h/%20(a),~b"],
)
def test_a_url_of_http_or_https_is_right(url):
    assert wrong_url(url) == ""


@pytest.mark.parametrize(
    "url",
    [
        "",
        "host/path",
        "file:///etc/passwd",
        "ftp://host/a",
        "http://",
        "http:///path",
        "http://u:pw@host/",
        "http://host:99999/",
        "http://host:0/",
        "http://[::1/",
        "http://host/a b",
        "http://host/\r\nHost: other",
        "http://höst/",
        'http://host/"x"',
        "http://host/" + "a" * 3000,
    ],
)
def test_other_urls_are_refused_without_being_shown(url):
    assert wrong_url(url) == webhook.ALLOWED
    assert len(url) < 8 or url not in wrong_url(url)


def test_messages_arrive_in_order_with_all_characters():
    warnings, sent = [], [{"n": n, "text": "épuisé 結果 \u2028 </script>"} for n in range(5)]
    with served() as server:
        hook = Webhook(server.url, fails=warnings.append)
        for message in sent:
            hook.send(message)
        hook.finish()
    assert server.got == sent
    assert warnings == []
    assert set(server.paths) == {"/services/T00000000/B00000000/S3CRETwebhook"}


def test_what_may_pass_is_tried_again():
    with served(500, 429, 200) as server:
        assert posted(server.url, {"n": 1}) == ""
    assert server.got == [{"n": 1}] * 3


@pytest.mark.parametrize(
    ("answers", "reason", "tries"),
    [
        ((503,) * 3, "it answered HTTP 503", 3),
        ((404,), "it answered HTTP 404", 1),
        ((redirect("http://127.0.0.1:1/"),), "it answered HTTP 302 (redirects are not followed)", 1),
        ((redirect("file:///etc/passwd", 307),), "it answered HTTP 307 (redirects are not followed)", 1),
        ((hang,), "no answer within 0.3 s", 1),
        ((babble,), "BadStatusLine", 1),
    ],
    ids=["unavailable", "gone", "redirect", "redirect to a file", "hangs", "no HTTP"],
)
def test_a_failure_is_told_in_a_few_words_without_the_url(answers, reason, tries):
    with served(*answers) as server:
        assert posted(server.url, {"n": 1}) == reason
    assert len(server.got) == tries


def test_a_redirect_is_not_followed_even_to_a_server_that_answers():
    with served() as other, served(redirect(other.url, 303)) as server:
        assert posted(server.url, {"n": 1}) == "it answered HTTP 303 (redirects are not followed)"
    assert (len(server.got), other.paths) == (1, [])


def test_nothing_listens():
    assert posted(f"http://127.0.0.1:{free_port()}/", {}) == "Connection refused"


def test_an_answer_that_drips_is_cut():
    with served(drip) as server:
        began = time.monotonic()
        posted(server.url, {})
        assert time.monotonic() - began < 30  # it would never end


def test_sending_and_finishing_do_not_wait_for_a_server_that_hangs(monkeypatch):
    monkeypatch.setattr(webhook, "WAIT", 60)
    monkeypatch.setattr(webhook, "LONGEST", 60)
    warnings = []
    with served(hang) as server:
        hook = Webhook(server.url, fails=warnings.append)
        began = time.monotonic()
        for n in range(100):
            hook.send({"n": n})
        assert time.monotonic() - began < 20  # far less than one WAIT
        hook.finish(0.1)
        assert time.monotonic() - began < 20
    assert warnings == ["no answer within 0.1 s"]
    assert hook._waiting.qsize() <= webhook.MOST_WAITING


def test_one_warning_for_all_failures_and_each_lost_message_is_told():
    warnings, lost = [], []
    hook = Webhook(f"http://127.0.0.1:{free_port()}/", fails=warnings.append)
    for n in range(3):
        hook.send({"n": n}, lost=lambda n=n: lost.append(n))
    hook.finish()
    assert (warnings, lost) == (["Connection refused"], [0, 1, 2])


def test_without_a_message_there_is_no_thread():
    before = threading.active_count()
    Webhook("http://127.0.0.1:1/", fails=pytest.fail).finish()
    assert threading.active_count() == before
