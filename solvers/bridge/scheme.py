"""Critical and isometric initialisations of a layer: parameters found by `solvers.critical`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from derive.cell.orthogonal import orthogonal as with_orthogonal
from derive.errors import ConvergenceError
from derive.frameworks import parameters_of
from solvers.bridge.layer import BridgeError, Layer
from solvers.critical import Critical, CriticalPoint, critical

Name = Literal["critical", "isometric"]


def found_parameters(
    layer: Layer,
    scheme: Name,
    free: str | Sequence[str],
    parameters: Mapping[str, float],
    orthogonal: Iterable[str],
    ranges: Mapping[str, tuple[float, float]] | None = None,
) -> dict[str, float]:
    """The parameters given, with the free ones where chi1 = 1.

    "critical" takes the only point at a zero state or at an attracting solution; "isometric" the one, of several or
    of the curve of two free parameters, at which squared singular values spread least.  What is neither given nor free
    is the default initialiser's.

    Raises
    ------
    BridgeError : no critical point in the range, or several where one is wanted.
    ConvergenceError : the search did not converge.
    ParameterError, AnsatzError : as `solvers.critical`.
    """
    names = (free,) if isinstance(free, str) else tuple(free)
    standard = parameters_of(layer.initialiser, layer.hidden, layer.inputs) | dict(parameters)
    given = {name: value for name, value in standard.items() if name not in names or name in parameters}
    found = critical(with_orthogonal(layer.cell, orthogonal), names, given, ranges=ranges)
    # Where the zero state is critical its moments are marginal as well: attracting or not is a matter of rounding.
    points = [point for point in found.points if point.converged and (point.attracting or point.state == "zero")]
    if not points:
        raise _nothing(found, names)
    chosen = _only(points, names) if scheme == "critical" else min(points, key=lambda p: p["isometry_variance"])
    return dict(parameters) | {name: float(chosen.free[name]) for name in names}


def _only(points: Sequence[CriticalPoint], names: tuple[str, ...]) -> CriticalPoint:
    if len(points) == 1:
        return points[0]
    shown = "; ".join(", ".join(f"{name} = {point.free[name]:.6g}" for name in names) for point in points[:5])
    raise BridgeError(
        f"there are {len(points)} critical initialisations ({shown}{' ...' if len(points) > 5 else ''}); "
        'take "isometric" for the one nearest to isometry, narrow ranges={...}, or give the parameters themselves'
    )


def _nothing(found: Critical, names: tuple[str, ...]) -> BridgeError | ConvergenceError:
    searched = ", ".join(f"{name} from {low:g} to {high:g}" for name, (low, high) in found.ranges.items())
    if not found.converged:
        return ConvergenceError(f"the search for chi1 = 1 ({searched}) did not converge: {'; '.join(found.notes)}")
    return BridgeError(
        f"no zero state or attracting solution has chi1 = 1 for {searched}; widen ranges={{...}}, change the fixed "
        f"parameters, or free another than {' and '.join(names)}"
    )
