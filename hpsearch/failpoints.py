"""Failpoints: named places where a test kills the whole run, HPSEARCH_FAILPOINT=tell_begun:3 at the third pass.

A crash is a kill -9 of the driver and with it of all that it started. Passes are counted in each process for itself.
"""

from __future__ import annotations

import os
import signal

POINTS = (
    "before_ask",
    "after_ask",
    "trial_placed",  # handed to a worker
    "report_begun",  # an evaluation has come and is not in the journal yet
    "report_done",
    "journal_written",  # a batch of lines is in the file, not synced
    "journal_synced",
    "tell_begun",  # the end of a trial is on the disk, the study has not heard of it
    "tell_done",
    "trial_swept",  # its files that no one needs are gone
    "retry_recorded",  # a trial goes on after a crash or the death of its worker
    "pause_begun",  # a trial has paused by decision, and the journal does not say so yet
    "pause_recorded",
    "resume_begun",  # the policy resumes a paused trial, and the journal does not say so yet
    "resume_recorded",
    "journal_read",  # at a resume: read, not yet open for writing
    "study_rebuilt",  # at a resume: ready to go on
    "best_exported",
    "file_written",  # a checkpoint (or another file) has its temporary name, synced
    "file_renamed",  # and now its own
    "run_made",  # MLflow has a run that no one has noted yet
    "batch_sent",  # MLflow has acknowledged rows that are not noted as shipped
    "batch_noted",
    "run_ended",
)

_name, _left, _driver = "", 0, 0


def arm(wanted: str) -> None:
    """Sets the point (`name:pass`) at which this process dies, as the driver; "" is none."""
    global _name, _left, _driver
    _name, _, count = wanted.partition(":")
    _left, _driver = int(count or 1), os.getpid()


def take_along(pid: int) -> None:
    """Says in a process that the driver started whom to take along."""
    global _driver
    _driver = pid


def hit(name: str) -> None:
    """Dies here if that is what was asked for."""
    global _left
    if name != _name:
        return
    _left -= 1
    if _left == 0:
        os.kill(_driver, signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)


arm(os.environ.get("HPSEARCH_FAILPOINT", ""))
