"""The inline launcher passes the conformance tests."""

from hpsearch.launchers.inline import InlineLauncher
from hpsearch.testing.launchers import TOY, LauncherConformance


class TestInline(LauncherConformance):
    workers, in_processes = 1, False

    def make(self, settings):
        return InlineLauncher(settings[0], trainer=TOY)
