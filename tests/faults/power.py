"""Simulates a power cut: restores of each file and folder what was last synced.

`watch` wraps a process's sync calls and copies what became durable; `cut` restores a folder from these copies. All
writes that were not synced are lost.
"""

import json
import os
import shutil
import threading
import uuid
from pathlib import Path

MARK = "user.hpsearch.power"


def watch(shadow):
    """Copies every synced file of this process into the folder `shadow` from now on."""
    shadow = Path(shadow)
    shadow.mkdir(parents=True, exist_ok=True)

    def synced(call):
        def wrapped(file):
            call(file)
            _copy(file, shadow)

        return wrapped

    os.fsync, os.fdatasync = synced(os.fsync), synced(os.fdatasync)


def cut(folder, shadow):
    """Restores a folder to its durable state, without databases, whose C code syncs by itself."""
    shadow = Path(shadow)
    durable = json.loads(_durable(folder, shadow) or b"{}")
    for entry in list(folder.iterdir()):
        if durable.get(entry.name) != entry.lstat().st_ino:
            shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
        elif entry.is_dir():
            cut(entry, shadow)
        else:
            entry.write_bytes(_durable(entry, shadow))


def _copy(file, shadow):
    path = Path(os.readlink(f"/proc/self/fd/{file}"))
    if path.is_dir():
        content = json.dumps({entry.name: entry.lstat().st_ino for entry in path.iterdir()}).encode()
    else:
        content = path.read_bytes()
    temporary = shadow / f"tmp-{threading.get_ident()}"
    temporary.write_bytes(content)
    temporary.rename(shadow / _mark(file))


def _mark(file):
    """Returns the file's unique mark: inode numbers are reused."""
    try:
        return os.getxattr(file, MARK).decode()
    except OSError:
        os.setxattr(file, MARK, uuid.uuid4().hex.encode())
        return os.getxattr(file, MARK).decode()


def _durable(path, shadow):
    """Returns the last synced content of a file or folder."""
    try:
        return (shadow / os.getxattr(path, MARK).decode()).read_bytes()
    except OSError:
        return b""
