"""What a power cut leaves: of each file what was last synced, under the names that its folder had when it was synced.

`watch` puts itself between a process and the system's sync calls and keeps a copy of what became durable; `cut` then
makes a folder look as it would after the power came back. Writes that were not synced are gone, all of them.
"""

import json
import os
import shutil
import threading
import uuid
from pathlib import Path

MARK = "user.hpsearch.power"


def watch(shadow):
    """From now on, in this process, every sync is copied into the folder `shadow`."""
    shadow = Path(shadow)
    shadow.mkdir(parents=True, exist_ok=True)

    def synced(call):
        def wrapped(file):
            call(file)
            _copy(file, shadow)

        return wrapped

    os.fsync, os.fdatasync = synced(os.fsync), synced(os.fdatasync)


def cut(folder, shadow):
    """Makes the folder what is durable of it (databases are left out: they have syncs of their own, in C)."""
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
    """The file's own mark: its inode's number is given to another as soon as it is gone."""
    try:
        return os.getxattr(file, MARK).decode()
    except OSError:
        os.setxattr(file, MARK, uuid.uuid4().hex.encode())
        return os.getxattr(file, MARK).decode()


def _durable(path, shadow):
    """What was last synced of a file or folder."""
    try:
        return (shadow / os.getxattr(path, MARK).decode()).read_bytes()
    except OSError:
        return b""
