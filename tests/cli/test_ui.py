"""`hpsearch ui`: MLflow on this machine's own address, gone when told."""

import signal
import socket
import urllib.request
from pathlib import Path

from tests.cli.processes import alive, descendants, end, started, wait_for
from tests.cli.test_run import one_line


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def answer(port):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as page:
            return page.read().decode()
    except OSError:
        return None


def test_it_serves_this_machine_and_leaves_nothing_behind(story):
    port = free_port()
    process = started("ui", "--port", port, "--home", "home", cwd=story.cwd)
    try:
        assert "MLflow" in wait_for(lambda: answer(port))
        family = descendants(process.pid)
        assert family
        assert addresses(port) == {"0100007F"}  # 127.0.0.1 alone
        out, err = end(process, signal.SIGINT)
    finally:
        end(process)
    assert process.returncode == 130
    assert f"http://127.0.0.1:{port}" in out
    assert "Traceback" not in err
    wait_for(lambda: not alive(family), limit=10)
    assert answer(port) is None


def test_a_sigterm_leaves_nothing_behind_either(story):
    process = started("ui", "--port", free_port(), "--home", "home", cwd=story.cwd)
    try:
        family = wait_for(lambda: descendants(process.pid))
    finally:
        end(process, signal.SIGTERM)
    assert process.returncode == 143
    wait_for(lambda: not alive(family), limit=10)


def addresses(port):
    """The addresses (hexadecimal) on which something listens at a port."""
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:] if Path(table).exists() else ():
            address, state = line.split()[1], line.split()[3]
            if state == "0A" and int(address.partition(":")[2], 16) == port:
                found.add(address.partition(":")[0])
    return found


def test_a_busy_port_is_one_line(story, call):
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = busy.getsockname()[1]
        one_line(call("ui", "--port", port, "--home", story.home), 2, rf"--port {port}: something listens there")


def test_without_a_store_there_is_nothing_to_show(call, tmp_path):
    one_line(call("ui", "--home", tmp_path), 2, r"holds no mlflow.db yet; `hpsearch run` makes it")
    one_line(call("ui", "--port", "0", "--home", tmp_path), 2, r"--port")
