"""The inline launcher keeps the contract."""

from hpsearch.launchers.inline import InlineLauncher
from tests.launchers.conformance import TOY, LauncherConformance


class TestInline(LauncherConformance):
    def make(self, settings):
        return InlineLauncher(settings[0], trainer=TOY)
