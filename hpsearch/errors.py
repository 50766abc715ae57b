"""Every error hpsearch raises on purpose; `cli/` prints them as one line.

HpsearchError               an error that a user can fix (exit code 1)
├── UserError               the user's mistake (exit code 2)
│   ├── ConfigError         space.yaml or best.yaml: file:line:column, what, what is allowed
│   ├── DataError           a data file or data function: file:line, what
│   └── StudyMismatch       a resumed study whose space or data changed, with a diff
├── StudyBusy               another driver holds the study (exit code 73)
├── StorageFailed           the disk is full, read-only or broken (exit code 74)
├── JournalDamaged          the journal cannot be read
├── CheckpointDamaged       a checkpoint does not match its checksum
└── TrainingFailed          too many trials failed

TrialStopped, which is none of these and no Exception, ends a user's function whose trial is to stop.
"""


class HpsearchError(Exception):
    """An error with a one-line message that says what to do."""

    exit_code = 1


class UserError(HpsearchError):
    """A mistake in the user's files or arguments."""

    exit_code = 2


class ConfigError(UserError):
    """A space or config file has an invalid value; the message starts with file:line:column."""


class DataError(UserError):
    """A data file, column or data function does not match the config."""

    data_set: str | None = None  # its name in the config, when it is known


class StudyMismatch(UserError):
    """The study on disk has another space, objective or data."""


class StudyBusy(HpsearchError):
    """Another driver is running the study."""

    exit_code = 73  # EX_CANTCREAT of sysexits.h


class StorageFailed(HpsearchError):
    """A disk or storage refuses writes; its files are intact."""

    exit_code = 74  # EX_IOERR of sysexits.h


class JournalDamaged(HpsearchError):
    """The journal cannot be read as one that hpsearch wrote."""


class CheckpointDamaged(HpsearchError):
    """A checkpoint's bytes do not match the checksum written beside them."""


class TrainingFailed(HpsearchError):
    """Training cannot continue."""


class TrialStopped(BaseException):
    """The trial of a user's function is to stop: raised in the function's own code, which lets it pass.

    It is no Exception, so that `except Exception` in a training loop does not catch it.
    """
