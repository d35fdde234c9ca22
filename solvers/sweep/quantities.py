"""What can be swept, and which dimension each quantity has besides the parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from derive.cell.names import did_you_mean
from derive.cell.spec import Cell
from derive.errors import ParameterError
from derive.theory import Theory
from solvers.simulate.schedule import schedule

LABELLED = {"q": "field", "mean_u2": "field", "q_total": "definition", "Q": "state", "C_star": "state",
            "filament": "end"}  # fmt: skip
"""Quantity -> the dimension over which it has several numbers; all others are one number."""

ENDS = ("low", "high")

STATIC = ("q", "q_total", "Q", "spectral_radius", "spectral_abscissa", "filament", "eta", "stable")
UNTIED = ("q", "q_total", "Q", "chi1", "chi_star", "xi", "C_star", "stable")
RESTING = ("q", "mean_u2", "q_total", "Q")
REDRAWN = ("q", "q_total", "Q", "C_star", "chi1", "chi1_typical")

MEANINGS = {
    "q": "variance of the field of one matrix product",
    "mean_u2": "mean square of the field of one matrix product over units",
    "q_total": "variance of the whole argument of a definition",
    "Q": "second moment of a state",
    "C_star": "covariance of two replicas at their fixed point",
    "chi1": "growth per step of the mean square perturbation",
    "chi1_typical": "exponential of the mean logarithmic growth",
    "chi_star": "slope of the correlation map at its fixed point",
    "xi": "correlation length in steps",
    "spectral_radius": "largest modulus of the support of the Jacobian's eigenvalues",
    "spectral_abscissa": "largest real part of the support of the Jacobian's eigenvalues",
    "filament": "real interval of eigenvalues of exponentially small weight, beyond the resolution eta",
    "eta": "resolution at which the edge of the support is taken",
    "stable": "whether small perturbations of the solution die out",
}


@dataclass(frozen=True)
class Quantity:
    """A quantity and the labels along its own dimension (both empty for a single number)."""

    name: str
    dimension: str = ""
    labels: tuple[str, ...] = ()
    measured: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        """Its dimensions besides parameters and solutions."""
        return (len(self.labels),) if self.dimension else ()

    @property
    def has_error(self) -> bool:
        """Whether it has an error of its own: `stable` is yes or no, and of what is measured in networks the error is
        the scatter over them."""
        return self.name != "stable" and not self.measured


def theory_quantities(theory: Theory, asked: Sequence[str]) -> tuple[Quantity, ...]:
    """The quantities asked for, of solutions of a theory.  Raises ParameterError for one that these do not have."""
    known = STATIC if theory.ansatz == "static" else UNTIED
    labels = dict(labels_of(theory.site.cell))
    if theory.closure != "sampled":
        labels["field"] = tuple(theory.variances)
        totals = [name for name in theory.observables if name.startswith("q_total[")]
        labels["definition"] = tuple(name[8:-1] for name in totals)
    return _chosen(asked, known, labels, f"{theory.ansatz} solutions")


def network_quantities(cell: Cell, ansatz: str, asked: Sequence[str]) -> tuple[Quantity, ...]:
    """The quantities asked for, measured in networks.  Raises ParameterError for one that these do not have."""
    radius = "spectral_radius" if cell.time == "discrete" else "spectral_abscissa"
    known = (*RESTING, radius) if ansatz == "static" else REDRAWN
    chosen = _chosen(asked, known, labels_of(cell), f"{ansatz} networks")
    return tuple(replace(quantity, measured=True) for quantity in chosen)


def labels_of(cell: Cell) -> Mapping[str, tuple[str, ...]]:
    """Dimension -> names of fields, definitions and states of a cell."""
    plan = schedule(cell)
    return {
        "field": tuple(field.name for field in plan.fields),
        "definition": tuple(plan.arguments),
        "state": cell.states,
        "end": ENDS,
    }


def _chosen(
    asked: Sequence[str], known: Sequence[str], labels: Mapping[str, tuple[str, ...]], whose: str
) -> tuple[Quantity, ...]:
    if not asked:
        raise ParameterError(f"--quantity: name one or more of {', '.join(known)}")
    found = []
    for name in dict.fromkeys(asked):
        if name not in known:
            guess = did_you_mean(name, known)
            raise ParameterError(
                f"--quantity {name[:40]}: {whose} have no such quantity; there are {', '.join(known)}. {guess}".strip()
            )
        dimension = LABELLED.get(name, "")
        if dimension and not labels[dimension]:
            raise ParameterError(f"--quantity {name}: this cell has no {dimension}s of which it could be given")
        found.append(Quantity(name, dimension, labels[dimension] if dimension else ()))
    return tuple(found)
