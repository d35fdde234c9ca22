"""Hand formulas against the theory: proved, agreeing, differing or undecided.

verify(load("..."), "chi1 = sigma_w**2*E[D[phi]**2]", ansatz="untied")     -> Checked
assert_holds(...)                                                          for tests
"""

from solvers.verify.check_formula import assert_holds, verify
from solvers.verify.verdict import AGREES, DIFFERS, PROVED, UNDECIDED, Checked, Evidence

__all__ = ["AGREES", "DIFFERS", "PROVED", "UNDECIDED", "Checked", "Evidence", "assert_holds", "verify"]
