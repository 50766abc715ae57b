"""Failpoints: named places where a test kills the whole run; HPSEARCH_FAILPOINT=tell_begun:3 kills at the third hit.

A failpoint kills (SIGKILL) the driver and the process that hits it. Each process counts its own hits.
"""

from __future__ import annotations

import os
import signal

POINTS = (
    "before_ask",
    "after_ask",
    "trial_placed",  # sent to a worker
    "report_begun",  # an evaluation has arrived and is not in the journal yet
    "report_done",
    "branch_recorded",  # the value of a cool-down is in the journal, and its trial has not ended
    "journal_written",  # a batch of lines is in the file but not synced
    "journal_synced",
    "tell_begun",  # the end of a trial is on the disk, and the study does not know it
    "tell_done",
    "trial_swept",  # its unneeded files are deleted
    "retry_recorded",  # a trial is retried after the death of its worker
    "pause_begun",  # the policy has paused a trial, and the journal does not have it yet
    "pause_recorded",
    "resume_begun",  # the policy has resumed a trial, and the journal does not have it yet
    "resume_recorded",
    "repeat_begun",  # a trial is to be trained again with a fresh seed, and the journal does not have it yet
    "repeat_recorded",
    "extension_recorded",  # the budget is larger, and what asked for it is not forgotten yet
    "request_written",  # a config is in the queue, but not synced
    "request_begun",  # a config of the queue is accepted, and the journal does not have it yet
    "request_recorded",
    "journal_read",  # at a resume: the journal is not open for writing yet
    "study_rebuilt",  # at a resume: before the search continues
    "study_warmed",  # what is learnt from another study is in the journal, and no trial is asked for
    "best_exported",
    "file_written",  # an atomic write: the temporary file is synced
    "file_renamed",  # an atomic write: the file has its name
    "run_made",  # MLflow has a run that is not recorded here
    "batch_sent",  # MLflow has rows that are not recorded as shipped
    "batch_noted",
    "run_ended",
    "training_ended",  # a final training: a seed's training has ended, and that is not noted
    "model_exported",  # its model is written, and not the files that say so
    "model_whole",  # its state lies beside its model, which MLflow may lack
    "training_cleared",  # its model is whole, and its state not quite removed
    "deletion_begun",  # a study is no study any more, and all its things are there
    "files_deleted",  # its files are deleted but for the journal
    "runs_hidden",  # its MLflow experiment is deleted, and can still be restored
    "runs_deleted",  # MLflow has nothing of it
    "rows_deleted",  # the Optuna database has nothing of it
    "renaming_begun",  # a study is to have another name, and has the former one everywhere
    "runs_renamed",  # in MLflow it has the new name
    "rows_renamed",  # in the Optuna database it has the new name
    "journal_renamed",  # its journal has the new name
    "folder_renamed",  # its folder has the new name
)

_name, _left, _driver = "", 0, 0


def arm(wanted: str) -> None:
    """Sets the failpoint (`name:count`; "": none) and makes this process the driver."""
    global _name, _left, _driver
    _name, _, count = wanted.partition(":")
    _left, _driver = int(count or 1), os.getpid()


def set_driver(pid: int) -> None:
    """Tells a child process the driver's pid, so that a failpoint kills both."""
    global _driver
    _driver = pid


def hit(name: str) -> None:
    """Kills the driver and this process if the failpoint is armed and its count is reached."""
    global _left
    if name != _name:
        return
    _left -= 1
    if _left == 0:
        os.kill(_driver, signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)


arm(os.environ.get("HPSEARCH_FAILPOINT", ""))
