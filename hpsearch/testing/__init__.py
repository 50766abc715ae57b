"""Stand-ins and conformance suites that ship with the package, for those who add a launcher of their own.

curves.py      learning curves that are formulas: a search can be tried without training anything
launchers.py   what every launcher must do, as a class of tests
"""

from hpsearch.testing.curves import SyntheticCurve, synthetic_loss

__all__ = ["SyntheticCurve", "synthetic_loss"]
