"""Synthetic trainers and conformance tests, for those who add a launcher, a trainer or a policy.

curves.py      synthetic learning curves
toy.py         a trainer without torch that follows such a curve
launchers.py   conformance tests for launchers
"""

from hpsearch.testing.curves import SyntheticCurve, synthetic_loss

__all__ = ["SyntheticCurve", "synthetic_loss"]
