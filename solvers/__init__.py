"""Numbers for the theories of ``derive``, and finite networks to check them against.

    solved = solve(cell, {"sigma": 1.5})              # all solutions of the mean field, with errors and verdicts
    spectra(cell, {"sigma": 1.5})                     # eigenvalues of the Jacobian at each static solution
    comparison = check(cell, {"sigma": 1.5}, N=1000)  # theory against finite networks
    simulate(cell, {"sigma": 1.5}, N=1000)            # the networks alone
    critical(cell, "sigma")                           # where chi1 = 1, or curves of two parameters, with isometry
    dynamics(cell, {"sigma": 1.5})                    # autocorrelations, time scales, maximal Lyapunov exponent
    lyapunov(cell, {"sigma": 1.5}, N=1000)            # exponents of finite networks, beside the theory's largest
    gradient(cell, {"sigma": 1.5})                    # gradients against the lag from the readout
    fixed_points(cell, ("g", 0, 4, 41))               # all static solutions over a range: branches, folds, stability
    phase(cell, ("g", 0, 4, 41), ("a", 0, 20, 41))    # regimes over two parameters, and the curves between them
    sweep(cell, {"g": "0:4:1000"}, ["chi1"], "out.zarr")     # many points, in a store that survives a kill
    export(cell, "residuals.py")                      # the equations as one standalone NumPy file
    report(cell, "page.html")                         # all of it as one page, or in one folder

Everything is imported when it is first used.  The verbs win over modules of the same name: ``solvers.solve`` is the
function, ``from solvers.solve import Solved`` reaches into the module.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from solvers.branches.static import fixed_points as fixed_points
    from solvers.compare import check as check
    from solvers.compare import simulate as simulate
    from solvers.compare.gradient import gradient as gradient
    from solvers.compare.lyapunov import lyapunov as lyapunov
    from solvers.critical import critical as critical
    from solvers.dynamics import dynamics as dynamics
    from solvers.export import export as export
    from solvers.phase import phase as phase
    from solvers.report import report as report
    from solvers.solve import solve as solve
    from solvers.spectra import spectra as spectra
    from solvers.sweep import sweep as sweep

__all__ = [
    "check",
    "critical",
    "dynamics",
    "export",
    "fixed_points",
    "gradient",
    "lyapunov",
    "phase",
    "report",
    "simulate",
    "solve",
    "spectra",
    "sweep",
]

_VERBS = {
    "check": "solvers.compare",
    "critical": "solvers.critical",
    "dynamics": "solvers.dynamics",
    "export": "solvers.export",
    "fixed_points": "solvers.branches.static",
    "gradient": "solvers.compare.gradient",
    "lyapunov": "solvers.compare.lyapunov",
    "phase": "solvers.phase",
    "report": "solvers.report",
    "simulate": "solvers.compare",
    "solve": "solvers.solve",
    "spectra": "solvers.spectra",
    "sweep": "solvers.sweep",
}


class _Package(ModuleType):
    """Importing a submodule binds its name in the package; that must not hide the verb of the same name."""

    def __setattr__(self, name: str, value: object) -> None:
        if not (name in _VERBS and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


def __getattr__(name: str) -> Any:
    """The verbs, imported when they are first used."""
    if name not in _VERBS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_VERBS[name]), name)


sys.modules[__name__].__class__ = _Package
