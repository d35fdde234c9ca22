"""Powers of Gaussian variables in front of other functions, one at a time (see `stein`)."""

from __future__ import annotations

import sympy as sp

from derive.gaussian.closed_forms import delta
from derive.gaussian.closed_forms.joint import Joint
from derive.gaussian.closed_forms.method import Expect
from derive.gaussian.closed_forms.stein import derivatives
from derive.gaussian.closed_forms.term import Term


def applies(term: Term, joint: Joint) -> bool:
    """Whether a power is there (exponentials and delta functions are dealt with first)."""
    return bool(term.powers)


def value(term: Term, joint: Joint, expect: Expect) -> sp.Expr | None:
    """E[x f] by Stein's formula, for the first variable x."""
    x = min((s for s, _ in term.powers), key=str)
    rest = term.lowered(x)
    total = sp.S.Zero
    if joint.mean[x] != 0:
        inner = expect(rest, joint)
        if inner is None:
            return None
        total += joint.mean[x] * inner
    for coefficient, part, jump in derivatives(x, rest, joint):
        if jump is None:
            inner = expect(part, joint)
            inner = None if inner is None else coefficient * inner
        else:
            inner = delta.at_zero(coefficient, jump, part, joint, expect)
        if inner is None:
            return None
        total += inner
    return total
