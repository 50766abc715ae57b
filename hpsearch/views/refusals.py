"""Errors that retrying cannot fix."""

from __future__ import annotations

import errno
import re

REFUSALS = ("INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST", "BAD_REQUEST", "PERMISSION_DENIED", "NOT_FOUND")
CLOSED = (PermissionError, NotADirectoryError, FileExistsError)  # nothing can be created there
# Errors of the database, which MLflow reports as a bad request.
DATABASE_ERROR = re.compile(r"\((\w+\.)+(DatabaseError|OperationalError|InternalError|InterfaceError)\)")


def is_refusal(error: Exception, *, own: bool = False) -> bool:
    """Whether the store refuses the request itself (too large, not allowed); False for a failing store.

    own: the store is in the home, where a file error is a failing disk.
    """
    if isinstance(error, CLOSED) or (isinstance(error, OSError) and error.errno == errno.EROFS):
        return not own  # elsewhere: an artifact folder without permission
    if DATABASE_ERROR.search(str(error)):
        return False
    status = status_of(error)
    if status is not None:
        return 400 <= status < 500 and status not in (401, 408, 429)
    return getattr(error, "error_code", None) in REFUSALS


def status_of(error: Exception) -> int | None:
    """Returns the HTTP status of the failed request; None if the error has none."""
    said = re.search(r"failed with error code (\d{3})|too many (\d{3}) error responses", str(error))
    response = getattr(error, "response", None)  # of a requests.HTTPError
    return getattr(response, "status_code", None) or (int(said[1] or said[2]) if said else None)
