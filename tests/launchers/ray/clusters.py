"""Helpers of the tests on a real Ray cluster."""

import contextlib
import os

import ray

TOKEN = "a-token-of-the-tests-of-the-ray-launcher"  # not secret


@contextlib.contextmanager
def token():
    """Makes Ray require a token, in this process and those that it starts.

    All tests of a process use it: Ray reads the environment once per process.
    """
    wanted = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": TOKEN, "RAY_USAGE_STATS_ENABLED": "0"}
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    ray._raylet.Config.initialize("")  # Ray has read the environment when it was imported
    yield
    for name, value in before.items():
        os.environ.pop(name) if value is None else os.environ.update({name: value})
