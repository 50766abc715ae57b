"""Real MLflow and PostgreSQL servers, and proxies that inject faults of networks and servers."""

import contextlib
import http.client
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psycopg

from tests import blank

QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "GIT_PYTHON_REFRESH": "quiet",
}


class Mlflow:
    """`mlflow server` on 127.0.0.1 with its own store; can be stopped and restarted."""

    more, environment = (), {}  # options, and what is added to the environment

    def __init__(self, folder):
        folder.mkdir(exist_ok=True)
        self.folder, self.database, self.port = folder, folder / "mlflow.db", free_port()
        blank.home(folder)  # the server itself takes 10 s to make the tables
        self.uri = f"http://127.0.0.1:{self.port}"
        self.process = None

    def up(self):
        """Starts the server and waits until it answers."""
        options = ["--host", "127.0.0.1", "--port", str(self.port), "--workers", "1"]
        options += ["--backend-store-uri", f"sqlite:///{self.database}"]
        options += ["--artifacts-destination", str(self.folder / "artifacts"), *self.more]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "mlflow", "server", *options],
            cwd=self.folder,
            env={**os.environ, **QUIET, **self.environment},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        deadline = time.monotonic() + 600
        while not answers(f"{self.uri}/health"):
            assert time.monotonic() < deadline, "mlflow server does not start"
            time.sleep(0.1)
        return self

    def down(self):
        """Kills the server and its children."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


class GuardedMlflow(Mlflow):
    """A server with `--app-name basic-auth`; the user NAME has all permissions."""

    NAME, PASSWORD = "mina", "S3CRETmlflow42"
    more = ("--app-name", "basic-auth")

    def __init__(self, folder):
        super().__init__(folder)
        settings = f"database_uri = sqlite:///{folder / 'users.db'}\ndefault_permission = READ"
        settings += "\nauthorization_function = mlflow.server.auth:authenticate_request_basic_auth"
        (folder / "auth.ini").write_text(f"[mlflow]\n{settings}\nauth_cache_ttl_seconds = 60\n")
        self.environment = {
            "MLFLOW_AUTH_CONFIG_PATH": str(folder / "auth.ini"),
            "MLFLOW_AUTH_ADMIN_USERNAME": self.NAME,
            "MLFLOW_AUTH_ADMIN_PASSWORD": self.PASSWORD,
            "MLFLOW_FLASK_SERVER_SECRET_KEY": "for the cookies of a page",
        }


class Proxy:
    """Passes requests on to a server, except where `rule` says otherwise.

    `rule(path, body)` gives None (pass on), "drop" (pass on, but lose the answer), "hang" (no answer at all),
    ("late", seconds) (the sender gives up before the server gets it), or (status, body) to answer without asking.
    """

    def __init__(self, uri, rule=lambda path, body: None):
        self.rule, self.seen = rule, []  # paths of the requests that came
        self._upstream = uri.removeprefix("http://")
        self._over = threading.Event()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.server.daemon_threads, self.server.block_on_close = True, False
        self.uri = f"http://127.0.0.1:{self.server.server_address[1]}"
        self._thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def look(self, path, body, headers):
        """Returns what happens to a request."""
        return self.rule(path, body)

    def close(self):
        self._over.set()
        self.server.shutdown()
        self.server.server_close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _handler(self):
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self):
                super().setup()
                self.upstream = http.client.HTTPConnection(proxy._upstream, timeout=30)

            def finish(self):
                self.upstream.close()
                super().finish()

            def handle_any(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                path = self.path.partition("?")[0]
                proxy.seen.append(path)
                verdict = proxy.look(path, body, self.headers)
                if verdict is None or verdict == "drop" or verdict[0] == "late":
                    if isinstance(verdict, tuple):
                        proxy._over.wait(verdict[1])
                    status, kind, answer = self.ask(body)
                    if verdict is not None:
                        self.cut()
                        return
                elif verdict == "hang":
                    proxy._over.wait(60)
                    self.cut()
                    return
                else:
                    (status, answer), kind = verdict, "text/html"
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                with contextlib.suppress(OSError):
                    self.wfile.write(answer)

            def ask(self, body):
                """Returns the server's response: status, content type, body."""
                kept = {k: v for k, v in self.headers.items() if k.lower() not in ("host", "connection")}
                try:
                    self.upstream.request(self.command, self.path, body, kept)
                    answer = self.upstream.getresponse()
                    return answer.status, answer.getheader("Content-Type", "application/json"), answer.read()
                except (OSError, http.client.HTTPException):
                    self.upstream.close()
                    return 503, "text/plain", b"the server is down"

            def cut(self):
                self.close_connection = True
                with contextlib.suppress(OSError):
                    self.connection.shutdown(socket.SHUT_RDWR)

            def log_message(self, *_):
                pass

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any  # noqa: N815

        return Handler


class Gate(Proxy):
    """Passes requests with the right Authorization header on; answers others with 401."""

    def __init__(self, uri, word):
        self.word, self.refused = word, 0
        super().__init__(uri)

    def look(self, path, body, headers):
        if headers.get("Authorization") == self.word:
            return None
        self.refused += 1
        return 401, b"who is it?"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def answers(url):
    with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=20) as answer:
        return answer.status == 200
    return False


# --------------------------------------------------------------------------------------------------------- PostgreSQL

PASSWORD = "S3CRETpostgres42"


def postgres_binaries():
    """Returns the folder of initdb and pg_ctl, from PATH or Debian's place; None if missing."""
    on_path = shutil.which("initdb")
    places = [Path(on_path).resolve()] if on_path else []
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: -float(path.parts[-3]))
    return next((path.parent for path in places if (path.parent / "pg_ctl").exists()), None)


class Postgres:
    """A PostgreSQL cluster of its own on 127.0.0.1, with password authentication; user `hp`, database `studies`."""

    def __init__(self):
        self.binaries, self.port = postgres_binaries(), free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="hpsearch-pg-"))  # not in tmp_path: root's, closed to others
        self.owner = pwd.getpwnam("nobody") if os.getuid() == 0 else None  # it refuses to run as root
        (self.folder / "password").write_text(PASSWORD)
        if self.owner:
            for path in (self.folder, self.folder / "password"):
                os.chown(path, self.owner.pw_uid, self.owner.pw_gid)
        options = ["-U", "hp", "--auth=scram-sha-256", "--pwfile", self.folder / "password", "-E", "UTF8", "--no-sync"]
        self._run("initdb", "-D", self.folder / "data", *options)

    @property
    def url(self):
        """The URL without the password."""
        return f"postgresql://hp@127.0.0.1:{self.port}/studies"

    def up(self):
        """Starts the server and waits until it answers; creates the database the first time."""
        settings = f"-h 127.0.0.1 -p {self.port} -k '' -c max_connections=30 -c fsync=off"
        self._run("pg_ctl", "start", "-w", "-t", "60", "-D", self.folder / "data", "-o", settings, "-l", os.devnull)
        with contextlib.suppress(psycopg.errors.DuplicateDatabase), self.connected("postgres") as connection:
            connection.execute("create database studies")
        return self

    def down(self, mode="fast"):
        """Stops it: fast (sessions are ended) or immediate (as if the power were cut)."""
        self._run("pg_ctl", "stop", "-w", "-m", mode, "-D", self.folder / "data")

    def remove(self):
        """Stops the server if it runs, and deletes its files."""
        with contextlib.suppress(subprocess.CalledProcessError):
            self.down("immediate")
        shutil.rmtree(self.folder, ignore_errors=True)

    def connected(self, database="studies"):
        """Returns a connection in autocommit mode."""
        return psycopg.connect(self.url.replace("/studies", f"/{database}"), password=PASSWORD, autocommit=True)

    def query(self, statement, *values):
        """Returns the rows of a query."""
        with self.connected() as connection:
            return connection.execute(statement, values).fetchall()

    def query_nothing(self, statement):
        """Executes a statement without rows."""
        with self.connected() as connection:
            connection.execute(statement)

    def _run(self, program, *arguments):
        other = {"user": self.owner.pw_uid, "group": self.owner.pw_gid, "extra_groups": []} if self.owner else {}
        subprocess.run(
            [self.binaries / program, *arguments],
            cwd=self.folder,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            check=True,
            **other,
        )


class Wire:
    """A TCP proxy that can close connections or drop bytes."""

    def __init__(self, port):
        self.port, self.mode = port, "pass"  # or "swallow"
        self._open, self._threads, self._over = [], [], threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(0.1)
        self.own_port = self._listener.getsockname()[1]
        self._start(self._accept)

    def cut(self):
        """Closes all connections."""
        for each in list(self._open):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.mode = "pass"
        self._over.set()
        self._threads[0].join()
        self._listener.close()
        self.cut()
        for thread in self._threads:
            thread.join()

    def _start(self, target, *arguments):
        self._threads.append(threading.Thread(target=target, args=arguments, daemon=True))
        self._threads[-1].start()

    def _accept(self):
        while not self._over.is_set():
            with contextlib.suppress(OSError):
                client, _ = self._listener.accept()
                self._start(self._serve, client)

    def _serve(self, client):
        with client, contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 5) as server:
            server.settimeout(None)
            self._open += [client, server]
            answers = threading.Thread(target=self._carry, args=(server, client), daemon=True)
            answers.start()
            self._carry(client, server)
            answers.join()
            self._open.remove(client)
            self._open.remove(server)

    def _carry(self, source, target):
        """Passes bytes on, or drops them, so that each end sees an open connection without data."""
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                if self.mode != "swallow":
                    target.sendall(data)
        if self.mode != "swallow":
            for each in (source, target):
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
