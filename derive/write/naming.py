"""Back-substitution: values that a cell names are called by their names again.

A definition that is one call f(argument) also names its derivatives: f'(argument) is z'.  Values are
taken at the fixed point where states are solved for; a solved state is called by its own name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import sympy as sp

from derive.elementary import Fn
from derive.gaussian.rational import tidy
from derive.theory import Theory
from derive.write.nodes import Named

Call = tuple[str, sp.Expr]


@dataclass
class Names:
    """values : expression -> its name, by precedence; calls : (function, argument) -> the definition it names."""

    values: dict[sp.Expr, Named] = field(default_factory=dict)
    calls: dict[Call, tuple[str, int]] = field(default_factory=dict)

    def add(self, name: str, value: sp.Expr, replica: int = 0) -> None:
        """A definition with this value (the first definition of a value keeps it)."""
        if not value.args:
            return
        self.values.setdefault(value, Named(name, 0, replica))
        if isinstance(value, Fn) and value.order == 0:
            self.calls.setdefault((value.name, value.argument), (name, replica))

    def apply(self, expression: sp.Expr, without: Iterable[Named] = ()) -> sp.Expr:
        """Call every named value by its name, outermost first; names in ``without`` stay spelled out."""
        return self._apply(expression, frozenset(without), {})

    def _apply(self, node: sp.Expr, without: frozenset[Named], done: dict[sp.Expr, sp.Expr]) -> sp.Expr:
        if node not in done:
            done[node] = self._renamed(node, without, done)
        return done[node]

    def _renamed(self, node: sp.Expr, without: frozenset[Named], done: dict[sp.Expr, sp.Expr]) -> sp.Expr:
        named = self.values.get(node)
        if named is not None and named not in without:
            return named
        if isinstance(node, Fn):
            called = self.calls.get((node.name, node.argument))
            if called is not None and Named(called[0], 0, called[1]) not in without:
                return Named(called[0], node.order, called[1])
            return Fn(node.name, node.order, self._apply(node.argument, without, done))
        if not node.args or isinstance(node, Named):
            return node
        parts = [self._apply(part, without, done) for part in node.args]
        return node if parts == list(node.args) else node.func(*parts)


def site_names(theory: Theory) -> Names:
    """Definitions, and next values of states, in terms of states and fields."""
    names = Names()
    for item in theory.site.definitions:
        names.add(item.name, item.value)
    for state, value in zip(theory.site.states, theory.site.F, strict=True):
        if theory.site.discrete and value.args:
            names.values.setdefault(value, Named(state.name, 1))
    return names


def names_of(theory: Theory) -> Names:
    """The names used in a derivation: states and definitions at the fixed point, or both replicas of a map."""
    if theory.ansatz != "static":
        names = site_names(theory)
        _add_replica(names, theory)
        return names
    names = Names()
    solved = dict(theory.states)
    quenched = {item.symbol for item in theory.site.quenched}
    for state, value in solved.items():
        if value not in quenched and not value.is_number:
            names.values.setdefault(value, Named(state.name))
    for item in theory.site.definitions:
        names.add(item.name, tidy(item.value.xreplace(solved)))
    return names


def _add_replica(names: Names, theory: Theory) -> None:
    to_b = replica_symbols(theory)
    for item in theory.site.definitions:
        copied = item.value.xreplace(to_b)
        if copied != item.value:
            names.add(item.name, copied, replica=1)


def replica_symbols(theory: Theory) -> Mapping[sp.Symbol, sp.Symbol]:
    """Each symbol that differs between replicas -> its copy in replica b, as far as the law knows one."""
    known = {symbol.name: symbol for symbol in theory.law.blocks}
    return {symbol: known[f"{symbol.name}^b"] for symbol in theory.law.blocks if f"{symbol.name}^b" in known}
