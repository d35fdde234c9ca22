"""Whether the Jacobians of successive untied steps are free of each other, so that their product has a known law.

J = L + (matrices between diagonals).  Where L = 0 and what stands next to the matrices on one side is the same for
every unit, J and J Q have the same law for any orthogonal Q that is independent of everything (or Q J, on the other
side), for Gaussian weights as for orthogonal ones.  Then J_T J_T^T, ..., J_1 J_1^T are asymptotically free, whatever
the diagonals know of each other, and the S-transform of the product's squared singular values is that of one step to
the power T.  With L != 0 they are not free: the diagonals of successive steps commute.
"""

from __future__ import annotations

import sympy as sp

from derive.errors import AnsatzError
from derive.site import SiteForm
from derive.theory import Theory


def require_free_factors(theory: Theory) -> None:
    """Return where the factors are free.

    Raises
    ------
    AnsatzError : they are not, or this cannot be told; the message says which part of the Jacobian is in the way.
    """
    site = theory.site
    if theory.ansatz != "untied":
        raise AnsatzError("steps have independent Jacobians only where weights are redrawn: use --ansatz untied")
    if len(site.states) > 1:
        raise AnsatzError(
            f"the factors are not free: a unit has {len(site.states)} states, whose entries in successive steps do "
            "not commute with each other and are free over their matrices only"
        )
    if site.L[0, 0] != 0:
        raise AnsatzError(
            f"the factors are not free: L = {site.L[0, 0]} is not zero, and the diagonals of successive steps commute"
        )
    right = _varying(site, site.b, site.e)
    left = _varying(site, site.a.T, site.e.T)
    if right and left:
        raise AnsatzError(f"the factors are not known to be free: {right}, and towards the next state {left}")


def _varying(site: SiteForm, inner: sp.Matrix, e: sp.Matrix) -> str:
    """What keeps the outermost matrices on one side from standing next to a constant; empty where nothing does.

    inner : (K, 1), what stands beside each field on that side; e : (K, K), row k: the fields within field k.
    """
    alive = _alive(site)
    outer = {k for k in alive if inner[k, 0] != 0}
    random = set(site.states) | {item.symbol for item in site.fields} | {item.symbol for item in site.quenched}
    for k in sorted(outer):
        if inner[k, 0].free_symbols & random:
            return f"{inner[k, 0]}, which differs from unit to unit, stands next to {site.fields[k].weight}"
    weights = {site.fields[k].weight for k in outer}
    for k in sorted(alive):
        if site.fields[k].weight in weights and any(e[k, m] != 0 for m in alive):
            return f"{site.fields[k].weight} also stands inside another product"
    return ""


def _alive(site: SiteForm) -> set[int]:
    """Fields that a state feeds and that feed a state, directly or through others."""
    alive = set(range(len(site.fields))) - set(site.input_fields)
    while True:
        kept = {k for k in alive
                if (site.b[k, 0] != 0 or any(site.e[k, m] != 0 for m in alive))
                and (site.a[0, k] != 0 or any(site.e[m, k] != 0 for m in alive))}  # fmt: skip
        if kept == alive:
            return alive
        alive = kept
