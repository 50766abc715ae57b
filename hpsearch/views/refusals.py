"""Which errors are a store's no to what it was sent, so that asking again is of no use."""

from __future__ import annotations

import errno
import re

REFUSALS = ("INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST", "BAD_REQUEST", "PERMISSION_DENIED", "NOT_FOUND")
CLOSED = (PermissionError, NotADirectoryError, FileExistsError)  # nothing can be made there, now or later
# What a database says of itself, passed on by MLflow as if the request were bad.
UNWELL = re.compile(r"\((\w+\.)+(DatabaseError|OperationalError|InternalError|InterfaceError)\)")


def is_refusal(error: Exception, *, own: bool = False) -> bool:
    """Whether a store said no to what it was sent (too large, not allowed), rather than being unwell."""
    if isinstance(error, CLOSED) or (isinstance(error, OSError) and error.errno == errno.EROFS):
        return not own  # artifacts of somebody else's store; at home the disk is unwell
    if UNWELL.search(str(error)):
        return False
    status = status_of(error)
    if status is not None:
        return 400 <= status < 500 and status not in (401, 408, 429)
    return getattr(error, "error_code", None) in REFUSALS


def status_of(error: Exception) -> int | None:
    """The HTTP status of an answer that was not MLflow's own; None where there was no such answer."""
    said = re.search(r"failed with error code (\d{3})|too many (\d{3}) error responses", str(error))
    response = getattr(error, "response", None)  # of a requests.HTTPError
    return getattr(response, "status_code", None) or (int(said[1] or said[2]) if said else None)
