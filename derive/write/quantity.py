"""The numbers that are computed from a theory, by the names that results give them, as formulas."""

from __future__ import annotations

import sympy as sp

from derive.write.presenter import Presenter

_SCALARS = {"chi1": "chi1", "chi_star": "chi_star", "xi": "xi", "m1": "m_1", "m2": "m_2"}


def quantity_latex(show: Presenter, name: str) -> str:
    """LaTeX of ``q[W]``, ``q_total[z]``, ``Q[h]``, ``C_star[h]`` or ``chi1``; empty for names that are words."""
    if name in _SCALARS:
        return show.medium.symbolic(_SCALARS[name]).text
    head, bracket, rest = name.partition("[")
    inner = rest.removesuffix("]")
    known = set(show.theory.site.cell.states) | set(show.theory.site.cell.definitions)
    if not bracket or not inner:
        return ""
    if head == "q" and any(inner == item.name for item in show.theory.site.fields):
        return show.notation.symbol(sp.Symbol(f"q[{inner}]", real=True)).text
    if head in ("Q", "q_total") and inner in known:
        return show.medium.observable(head, show.notation.name(inner)).text
    if head == "C_star" and inner in known:
        return rf"C^{{*}}_{{{show.notation.name(inner).text}}}"
    return ""
