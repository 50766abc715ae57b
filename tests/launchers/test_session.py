"""A trial that is stopped has ended, whatever its training does while it is closed."""

import logging
import re

import pytest

from hpsearch.contract import Command
from hpsearch.launchers.messages import Ended, Evaluated
from hpsearch.launchers.session import Session
from hpsearch.testing.launchers import task, worker_settings

RAISED = {
    "ValueError": r"ValueError: closed, trainers.py:\d+",
    "KeyboardInterrupt": r"KeyboardInterrupt: closed, trainers.py:\d+",
    "SystemExit": r"SystemExit: closed, trainers.py:\d+",
    "another evaluation": "RuntimeError: generator ignored GeneratorExit",
}


@pytest.mark.parametrize("kind", RAISED)
def test_what_a_training_raises_while_it_is_closed_is_a_warning(tmp_path, monkeypatch, caplog, kind):
    monkeypatch.setenv("RAISED_WHEN_CLOSED", kind)
    trainer = "python:tests.launchers.trainers:Unclosable"
    session = Session(0, [task(tmp_path)], worker_settings(tmp_path), trainer=trainer, listen=lambda: None)
    assert isinstance(session.step()[0], Evaluated)
    session.answer(0, Command.STOP)
    with caplog.at_level(logging.WARNING, logger="hpsearch"):
        assert session.step() == [Ended(0, 0, Command.STOP)]
    [line] = caplog.messages
    assert re.fullmatch(f"the trial was stopped, and its training raised {RAISED[kind]}", line)
