"""Printing never raises, in real processes with the interpreter's own streams."""

import errno
import os
import subprocess
import sys

import pytest

HEAD = """
import logging, os, sys, warnings
from hpsearch.output.streams import loss, unfailing
def lost(descriptor, error): os.write(int(os.environ["TOLD"]), f"{descriptor} {error.errno}\\n".encode())
"""


def python(code, *, stdout=subprocess.PIPE, stderr=subprocess.PIPE, redirect="", **extra):
    """Runs code; returns exit code, stdout, stderr and the reported failures."""
    read, write = os.pipe()
    with open(read, "rb") as told, open(write, "wb") as telling:
        done = subprocess.run(
            ["sh", "-c", f'exec "$0" -c "$1" {redirect}', sys.executable, HEAD + code],
            stdout=stdout,
            stderr=stderr,
            pass_fds=[write],
            env={**os.environ, "TOLD": str(write), **extra},
            timeout=600,
            check=False,
        )
        telling.close()
        return done.returncode, done.stdout, done.stderr, told.read().decode().split("\n")[:-1]


@pytest.fixture
def unread():
    """The write end of a closed pipe."""
    read, write = os.pipe()
    os.close(read)
    yield write
    os.close(write)


def test_printing_to_a_closed_pipe_does_not_raise_and_is_reported_once(unread):
    code = "with unfailing(lost):\n for i in range(3): print('x', flush=True)\n sys.stderr.write('goes on')"
    assert python(code, stdout=unread) == (0, None, b"goes on", ["1 32"])


def test_the_flush_at_exit_does_not_raise(unread):
    assert python("with unfailing(lost): print('x')", stdout=unread) == (0, None, b"", ["1 32"])


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux has it")
def test_a_full_disk_is_reported_with_its_errno():
    code, _, err, told = python("with unfailing(lost): print('x' * 100_000)", redirect="> /dev/full")
    assert (code, err, told) == (0, b"", ["1 28"])


def test_standard_error_is_as_safe(unread):
    code = (
        "with unfailing(lost):\n warnings.warn('w')\n logging.error('e')\n sys.stderr.write('x')\n print(loss(2).errno)"
    )
    assert python(code, stderr=unread) == (0, b"32\n", None, ["2 32"])


def test_child_processes_inherit_dev_null(unread):
    code = (
        "import subprocess\nwith unfailing(lost):\n print('x', flush=True)\n sys.exit(subprocess.call(['echo', 'y']))"
    )
    assert python(code, stdout=unread)[0] == 0


def test_no_file_gets_the_descriptor_of_a_closed_stream(tmp_path):
    code = f"with unfailing(lost):\n file = open({str(tmp_path / 'file')!r}, 'w')\n print('x')"
    code += "\n print(sys.stdout.fileno(), file=sys.stderr)\n os.system('echo z; echo z >&2')"
    assert python(code, redirect="<&- >&-")[2:] == (b"1\nz\n", [])
    assert python(code, redirect="<&- >&- 2>&-") == (0, b"", b"", [])
    assert (tmp_path / "file").read_bytes() == b""


@pytest.mark.parametrize(("encoding", "shown"), [("ascii", rb"caf\xe9 \u65e5"), ("latin-1", b"caf\xe9 \\u65e5")])
def test_what_an_encoding_lacks_is_escaped(encoding, shown):
    done = python("with unfailing(lost): print('caf\\xe9 \\u65e5')", PYTHONIOENCODING=encoding)
    assert done == (0, shown + b"\n", b"", [])


def test_half_of_a_surrogate_pair_is_escaped():
    assert python("with unfailing(lost): print('\\udc80')", PYTHONIOENCODING="utf-8")[1] == b"\\udc80\n"


def test_a_full_non_blocking_pipe_is_waited_for():
    code = "os.set_blocking(1, False)\nwith unfailing(lost): print('x' * 1_000_000)"
    assert python(code)[:2] == (0, b"x" * 1_000_000 + b"\n")


def test_streams_without_a_descriptor_are_unchanged(capsys):
    from hpsearch.output.streams import unfailing

    with unfailing():
        print("seen")
    assert capsys.readouterr().out == "seen\n"


def test_no_file_gets_the_descriptor_of_a_closed_standard_input(tmp_path):
    code = f"with unfailing(lost): print(open({str(tmp_path / 'file')!r}, 'w').fileno() > 2)"
    assert python(code, redirect="<&-")[:3] == (0, b"True\n", b"")


def test_a_second_use_forgets_earlier_failures(unread):
    code = "with unfailing(lost): print('x', flush=True)\nwith unfailing(lost): print(loss(1), file=sys.stderr)"
    assert python(code, stdout=unread)[2] == b"None\n"


def test_a_full_disk_is_not_a_closed_pipe():
    from hpsearch.output.streams import reader_gone

    assert reader_gone(BrokenPipeError(errno.EPIPE, "Broken pipe"))
    assert not reader_gone(OSError(errno.ENOSPC, "No space left on device"))
