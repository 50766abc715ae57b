"""The package's warnings are passed on."""

import logging
import threading

import pytest

from hpsearch.output.logs import warnings_to

log = logging.getLogger("hpsearch.tests")


@pytest.mark.parametrize("this_thread", [True, False])
def test_warnings_come_from_the_thread_or_from_all(this_thread):
    said = []
    with warnings_to(said.append, this_thread=this_thread):
        log.warning("%d files", 2)
        log.info("no warning")
        other = threading.Thread(target=log.error, args=("from another",))
        other.start()
        other.join()
    log.warning("too late")
    assert said == ["2 files", "from another"][: 1 if this_thread else 2]


def test_secrets_are_left_out():
    said = []
    with warnings_to(said.append):
        log.warning("cannot reach https://me:secret@host")
    assert said == ["cannot reach https://***@host"]
