"""Every error hpsearch raises on purpose; `cli.py` prints them as one line.

HpsearchError               what a user can read and mend (exit code 1)
├── UserError               the user's mistake (exit code 2)
│   ├── ConfigError         space.yaml or best.yaml: file:line:column, what, what is allowed
│   ├── DataError           a data file or data function: file:line, what
│   └── StudyMismatch       a resumed study whose space or data changed, with a diff
├── StudyBusy               another driver holds the study (exit code 73)
├── StorageFailed           the disk is full, read-only or broken (exit code 74)
├── JournalDamaged          the journal cannot be read
├── CheckpointDamaged       a checkpoint does not match its checksum
└── TrainingFailed          too many trials failed
"""


class HpsearchError(Exception):
    """What went wrong, in one line a user can act on."""

    exit_code = 1


class UserError(HpsearchError):
    """A mistake in what the user wrote or asked for."""

    exit_code = 2


class ConfigError(UserError):
    """A space or config file says something that is not allowed; the message starts with file:line:column."""


class DataError(UserError):
    """A data file, column or data function is not as the config says."""

    data_set: str | None = None  # its name in the config, once it is known


class StudyMismatch(UserError):
    """The study on disk was made from another space, objective or data."""


class StudyBusy(HpsearchError):
    """Another living driver owns the study."""

    exit_code = 73  # EX_CANTCREAT of sysexits.h


class StorageFailed(HpsearchError):
    """A disk does not take what must be kept; what it has is whole."""

    exit_code = 74  # EX_IOERR of sysexits.h


class JournalDamaged(HpsearchError):
    """The journal is not one that hpsearch wrote."""


class CheckpointDamaged(HpsearchError):
    """A checkpoint's bytes do not match the checksum written beside them."""


class TrainingFailed(HpsearchError):
    """Training could not go on."""
