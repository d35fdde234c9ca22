"""Over which parameters a report's map goes, and how far: by a stated rule, where nobody chose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from derive.cell.arithmetic import names_in
from derive.theory import Theory
from solvers.critical.ranges import kind_of, search_range
from solvers.phase.search import Range

COUNT = 21
KINDS = ("gain", "std", "mean", "positive", "any")
"""What an axis may be, in the order of preference.  The variance of an input does nothing where inputs have no weight:
it has to be given."""

ASKED = (*KINDS, "variance")

RULE = (
    "axes: the parameters that were given, those that are not zero first; then gains of matrices that states pass "
    "through, standard deviations and means of biases, and the rest, in the order of the cell file. Range: "
)
NEAR = (
    "from a twentieth of the value to twice the value; from 0 to 1 where it is 0; to both sides of a mean, by its size "
    "and at least 1"
)
WIDE = "that of gatefield critical, by the kind of the parameter"

LOWEST = 0.05


def axes_of(theory: Theory, parameters: Mapping[str, float], given: Sequence[str], own: Sequence[Range]) -> list[Range]:
    """Two axes, one, or none: ``own`` where they were asked for, the others by `RULE`.

    parameters : the values of all; given : names of those that a user gave.
    """
    chosen = list(own)
    for name in candidates(theory, parameters, given):
        if len(chosen) < 2 and name not in {axis[0] for axis in chosen}:
            chosen.append((name, *span(theory, name, parameters[name]), COUNT))
    return chosen


def candidates(theory: Theory, parameters: Mapping[str, float], given: Sequence[str]) -> list[str]:
    """Parameters that an axis may show, the best first."""
    known = {name: kind_of(theory.site.cell, name, parameters[name]) for name in parameters}
    allowed = [name for name, kind in known.items() if kind in KINDS]
    asked = sorted((name for name in given if known[name] in ASKED), key=lambda name: parameters[name] == 0)
    idle = _input_gains(theory)
    others = [name for name in allowed if name not in idle]
    return list(dict.fromkeys([*asked, *sorted(others, key=lambda name: KINDS.index(known[name]))]))


def span(theory: Theory, name: str, value: float) -> tuple[float, float]:
    """The ends of an axis, so that the value of the report lies inside."""
    if theory.ansatz == "untied":  # criticality is looked for, which may be far from here
        low, high = search_range(theory.site.cell, name, None)
        return min(low, value), max(high, value)
    if kind_of(theory.site.cell, name, value) == "mean" or value < 0:
        size = max(1.0, abs(value))
        return value - size, value + size
    return (LOWEST * value, 2.0 * value) if value > 0 else (0.0, 1.0)


def _input_gains(theory: Theory) -> set[str]:
    """Parameters of nothing but the gains of matrices that only inputs pass through."""
    site = theory.site
    inside = {site.fields[k].weight for k in site.input_fields}
    weights = site.cell.weights
    fed = {name for key, weight in weights.items() if key not in inside for name in names_in(weight.gain)}
    return {name for key in inside for name in names_in(weights[key].gain)} - fed
