"""The function that receives events, called from several threads."""

import threading

import pytest

from hpsearch.displays.show import one_at_a_time
from hpsearch.events import Notice


def broken(seen):
    def show(event):
        seen.append(event.line)
        raise ValueError(event.line)

    return show


def test_an_exception_in_another_thread_is_reported_once_and_ends_nothing(monkeypatch):
    seen, reported = [], []
    monkeypatch.setattr(threading, "excepthook", lambda args: reported.append((args.thread.name, str(args.exc_value))))
    show = one_at_a_time(broken(seen))

    def ship():
        for line in ("MLflow is down", "MLflow is back"):
            show(Notice(line))
        seen.append("done")

    thread = threading.Thread(target=ship, name="views")
    thread.start()
    thread.join(60)
    assert seen == ["MLflow is down", "MLflow is back", "done"]
    assert reported == [("views", "MLflow is down")]


def test_an_exception_in_the_calling_thread_propagates():
    with pytest.raises(ValueError, match="stop"):
        one_at_a_time(broken([]))(Notice("stop"))
