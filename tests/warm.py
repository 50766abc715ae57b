"""Commands as forks of a process that has imported everything: torch, optuna and mlflow take a fresh one 8 s.

Each command is a process of its own, in a session of its own, with its own workers and its own shipping process; a
store that it makes is a copy of an empty one. What a fresh interpreter would do differently (its command line in /proc,
PYTHON* variables, what it imports, a store from nothing) is tested with fresh ones: `fresh=True` of
tests/cli/processes.py.
"""

import array
import atexit
import contextlib
import ctypes
import gc
import importlib
import json
import multiprocessing
import multiprocessing.context
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from functools import cache
from pathlib import Path

from hpsearch.system import environment
from hpsearch.views.mlflow.store import Store
from hpsearch.views.shipper import Shipper
from tests import blank

EARLY = [
    "hpsearch.api.run",
    "hpsearch.api.study",
    "hpsearch.cli.closing",
    "hpsearch.cli.study_json",
    "hpsearch.cli.study_table",
    "hpsearch.cli.terminal",
    "hpsearch.data.corpus",
    "hpsearch.search.driver",
    "hpsearch.results.evidence.caveats",
    "hpsearch.final.training",
    "hpsearch.launchers.local",
    "hpsearch.policies.curves.sampler",
    "hpsearch.search.loop",
    "hpsearch.testing.toy",
    "hpsearch.views.mlflow.view",
    "hpsearch.views.optuna",
    "hpsearch.views.shipper",
    "mlflow.store.tracking.sqlalchemy_store",
    "mlflow.tracking",
    "scipy.stats",
    "sklearn.ensemble",
]
ROOT = Path(__file__).parents[1]
AVAILABLE = hasattr(os, "pidfd_open")
WORKER = b"forked-worker"  # the name of a forked worker in /proc/PID/comm
PR_SET_NAME = 15  # man 2 prctl
FRESH = Shipper._spawn


class Warm:
    """A command that runs, with the methods of `subprocess.Popen` that tests call."""

    def __init__(self, arguments, *, cwd, environment, views=True, pictures=False):
        self.returncode, self._said = None, None
        ends = [os.pipe(), os.pipe()]
        self.stdout, self.stderr = (os.fdopen(read, encoding="utf-8", errors="strict") for read, _ in ends)
        request = {"arguments": list(map(str, arguments)), "cwd": str(cwd), "environment": environment}
        request |= {"views": views, "pictures": pictures}
        self._connection = _asked(request, [write for _, write in ends])
        self._answers = self._connection.makefile()
        self.pid = int(self._answers.readline())

    def poll(self):
        """Its exit code, negative for a signal; None while it runs."""
        return self.returncode if self._ended(0) else None

    def wait(self, timeout=None):
        """Waits for its end; returns its exit code."""
        if not self._ended(timeout):
            raise subprocess.TimeoutExpired("hpsearch", timeout)
        return self.returncode

    def communicate(self, timeout=None):
        """Waits for its end; returns what it wrote to standard output and standard error, whenever it is called."""
        if self._said is not None:
            return self._said
        found = {}
        readers = [
            threading.Thread(target=lambda name=name: found.update({name: getattr(self, name).read()}), daemon=True)
            for name in ("stdout", "stderr")
        ]
        for reader in readers:
            reader.start()
        self.wait(timeout)
        for reader in readers:
            reader.join(timeout)
            if reader.is_alive():
                raise subprocess.TimeoutExpired("hpsearch", timeout)
        self.stdout.close()
        self.stderr.close()
        self._said = found["stdout"], found["stderr"]
        return self._said

    def send_signal(self, number):
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self):
        self.send_signal(signal.SIGTERM)

    def kill(self):
        self.send_signal(signal.SIGKILL)

    def _ended(self, timeout):
        if self.returncode is None and select.select([self._connection], [], [], timeout)[0]:
            self.returncode = int(self._answers.readline())
            self._answers.close()
            self._connection.close()
        return self.returncode is not None


def _asked(request, fds):
    """Asks the process that forks for a fork with two descriptors, which are closed here; returns the connection."""
    content = json.dumps(request | {"umask": _umask(), "stores": str(blank.stores())}).encode()
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(_server())
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))]
    connection.sendmsg([len(content).to_bytes(4, "big")], rights)
    connection.sendall(content)
    for fd in fds:
        os.close(fd)
    return connection


def _umask():
    """The umask of this process, which a child of its own would have."""
    [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("Umask:")]
    return int(line.split()[1], 8)


@cache
def _server():
    """Starts the process that forks, one for each process that runs tests; returns the path of its socket."""
    folder = tempfile.mkdtemp(prefix="hpsearch-warm-")
    path = f"{folder}/socket"
    process = subprocess.Popen(
        [sys.executable, "-c", "from tests.warm import main; main()", path],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout.readline() == b"ready\n"
    process.stdout.close()

    def end():
        process.stdin.close()
        process.wait()
        os.unlink(path)
        os.rmdir(folder)

    atexit.register(end)
    return path


# ----------------------------------------------------------------------------------------------------- in that process


def main():
    """Imports everything, and forks for each connection; a fork runs its command, and ends as an interpreter does."""
    started_with = os.environ.copy()
    for name in EARLY:
        importlib.import_module(name)  # some set variables
    environment.versions()
    open_a_store()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(sys.argv[1])
        listener.listen(16)
        print("ready", flush=True)
        gc.freeze()
        request = _serve(listener)
    if request is not None:
        _run(request | {"started_with": started_with})


def open_a_store():
    """Has the forks of this process know the revisions of Optuna's schema."""
    from optuna.storages import RDBStorage

    blank.remember_revisions()
    RDBStorage("sqlite://").engine.dispose()


def _serve(listener):
    """Forks for each connection until standard input closes; returns, in a fork, what it is to run."""
    running = {}  # pidfd -> (pid, connection)
    while True:
        ready, _, _ = select.select([0, listener, *running], [], [])
        for one in ready:
            if one == 0:
                return None
            if one is listener:
                connection, _ = listener.accept()
                request, fds = _received(connection)
                if (pid := os.fork()) == 0:
                    for pidfd, (_, other) in running.items():
                        os.close(pidfd)
                        other.close()
                    connection.close()
                    return request | {"fds": fds}
                for fd in fds:
                    os.close(fd)
                running[os.pidfd_open(pid)] = pid, connection
                connection.sendall(f"{pid}\n".encode())
            else:
                pid, connection = running.pop(one)
                os.close(one)
                code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
                with contextlib.suppress(OSError):  # of a test that no longer listens
                    connection.sendall(f"{code}\n".encode())
                connection.close()


def _received(connection):
    """A request, and the two descriptors for its output."""
    size, ancillary, _, _ = connection.recvmsg(4, socket.CMSG_SPACE(2 * array.array("i").itemsize))
    fds = array.array("i", ancillary[0][2])
    with connection.makefile("rb") as file:
        return json.loads(file.read(int.from_bytes(size, "big"))), list(fds)


def _run(request):
    os.setsid()
    is_piped = "becomes" in request
    if not is_piped:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number, fd in enumerate(request["fds"], start=0 if is_piped else 1):
        os.dup2(fd, number)
        os.close(fd)
    os.chdir(request["cwd"])
    os.umask(request["umask"])
    before = os.environ.copy()
    os.environ.clear()
    os.environ.update({name: value for name, value in before.items() if value != request["started_with"].get(name)})
    os.environ.update(request["environment"])
    sys.path[1:1] = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
    tempfile.tempdir = None  # what TMPDIR was when something asked first
    if request.get("becomes") == "zygote":
        _fork_others()
    blank.copy_from(Path(request["stores"]))
    if request.get("becomes") == "shipping":
        _ship(request)
    from hpsearch import cli
    from hpsearch.search import driver
    from hpsearch.system import failpoints
    from tests.faults.zygote import NoViews

    sys.argv = ["hpsearch", *request["arguments"]]
    failpoints.arm(os.environ.get("HPSEARCH_FAILPOINT", ""))
    fork_workers()
    Store.draws = request["pictures"]
    if request["views"]:
        fork_shipping()
    else:
        driver.shipper.start = NoViews
    try:
        cli.main(request["arguments"])
    except SystemExit as end:
        _leave(end.code)


def _fork_others():
    """Becomes the process that forks for the fault tests: never returns."""
    from tests.faults import zygote

    sys.path[0] = str(ROOT)  # it was the working folder
    try:
        zygote.serve()
        os._exit(0)
    finally:
        os._exit(70)


def _leave(code):
    """Ends as the interpreter would, without taking apart all that is imported, which takes a quarter of a second."""
    threading._shutdown()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(0 if code is None else code)


# ---------------------------------------------------------------------------------------------------------- the workers


def fork_workers():
    """Has this driver fork its workers, which else take half a second each to start."""
    from hpsearch.launchers import local

    local._spawn = _Forks


class _Forks:
    """The part of a context of multiprocessing that hpsearch/launchers/local.py uses."""

    Pipe = staticmethod(multiprocessing.Pipe)

    class Process(multiprocessing.context.ForkProcess):
        """A worker that inherits no descriptor of its driver but those of the output and its own connection."""

        def start(self):
            kept = {0, 1, 2, *(one.fileno() for one in self._args if hasattr(one, "fileno"))}
            self._foreign = {int(fd) for fd in os.listdir("/proc/self/fd")} - kept
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # about threads
                super().start()

        def run(self):
            _become_another()
            for fd in self._foreign:
                with contextlib.suppress(OSError):
                    os.close(fd)
            ctypes.CDLL(None).prctl(PR_SET_NAME, WORKER)
            super().run()


def _become_another():
    """Takes back what a driver has set for itself alone."""
    from hpsearch.system import failpoints

    gc.freeze()
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    failpoints.arm(os.environ.get("HPSEARCH_FAILPOINT", ""))


# ----------------------------------------------------------------------------------------------- the shipping process


def serve_shipping():
    """Has the drivers of this process, which tests run in, get their shipping processes from the one that forks.

    A fork of this process would share the state of its SQLite connections, which its tests keep open.
    """
    if AVAILABLE:
        Shipper._spawn = lambda shipper: _told(shipper, _served())


def fork_shipping():
    """Has the drivers of this process, which have no SQLite connection open, fork their shipping processes."""
    Shipper._spawn = lambda shipper: _told(shipper, _Forked())


@contextlib.contextmanager
def fresh_shipping():
    """Has the drivers of this process start interpreters as shipping processes, as a user's do."""
    forks, Shipper._spawn = Shipper._spawn, FRESH
    try:
        yield
    finally:
        Shipper._spawn = forks


def _told(shipper, process):
    """Gives a shipping process its task, as Shipper._spawn does."""
    shipper._process = process
    shipper._brief()
    return process


def _served():
    """A shipping process that the one that forks has forked."""
    facts = {"driver": os.getpid(), "pictures": Store.draws}
    return Piped("shipping", cwd=os.getcwd(), environment=dict(os.environ), **facts)


class Piped(Warm):
    """A process that is told by its standard input what to do; `becomes`: "shipping", or "zygote" (fault tests)."""

    def __init__(self, becomes, *, cwd, environment, **more):
        (reads, commands), (answers, writes) = os.pipe(), os.pipe()
        request = {"becomes": becomes, "cwd": str(cwd), "environment": environment, **more}
        self.returncode, self._turn = None, threading.Lock()
        self._connection = _asked(request, [reads, writes])
        self.stdin, self.stdout = os.fdopen(commands, "w"), os.fdopen(answers)
        self._answers = self._connection.makefile()
        self.pid = int(self._answers.readline())

    def _ended(self, timeout):
        with self._turn:
            return super()._ended(timeout)

    def wait(self, timeout=None):
        """Waits for its end; returns its exit code."""
        while self.poll() is None:
            time.sleep(0.01)
        return self.returncode


class _Forked:
    """A shipping process, with the methods of `subprocess.Popen` that its driver calls."""

    def __init__(self):
        (reads, commands), (answers, writes) = os.pipe(), os.pipe()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # about threads: nothing of them is called in the fork
            self.pid = os.fork()
        if self.pid == 0:
            try:
                _become_another()
                signal.pthread_sigmask(signal.SIG_SETMASK, [])
                os.setsid()
                os.dup2(reads, 0)
                os.dup2(writes, 1)
                _ship({"driver": os.getppid()})
            finally:
                os._exit(70)
        os.close(reads)
        os.close(writes)
        self.stdin, self.stdout = os.fdopen(commands, "w"), os.fdopen(answers)
        self._turn, self._code = threading.Lock(), None

    def poll(self):
        with self._turn:
            if self._code is None:
                pid, status = os.waitpid(self.pid, os.WNOHANG)
                self._code = os.waitstatus_to_exitcode(status) if pid else None
            return self._code

    def wait(self):
        while self.poll() is None:
            time.sleep(0.01)
        return self._code

    def kill(self):
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)


def _ship(request):
    """Becomes a shipping process that reads its task from standard input: never returns."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        os.closerange(3, os.sysconf("SC_OPEN_MAX"))
        sys.stdin, sys.stdout = os.fdopen(0, closefd=False), os.fdopen(1, "w", closefd=False)
        os.getppid = lambda: request["driver"]
        Store.draws = request.get("pictures", Store.draws)
        from hpsearch.views import shipping as process

        process.main()
    finally:
        os._exit(70)
