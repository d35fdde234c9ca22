"""Expressions as boxes: one typesetter for every medium, with an order of terms and factors of its own.

Order never depends on how SymPy happens to store a sum: terms and factors are ranked by kind and then by
their printed text.
"""

from __future__ import annotations

from functools import cached_property

import sympy as sp

from derive.elementary import Fn
from derive.gaussian.average import Average
from derive.gaussian.safe import Correlation, DampedSinh, Ratio, Root
from derive.write.box import ATOM, POWER, Box
from derive.write.moments import overlap_of, split_moment, square_base
from derive.write.nodes import Modulus2, Named
from derive.write.notation import Notation, named
from derive.write.style import UNBROKEN, Style, total

_NUMBER, _PARAMETER, _SPECTRAL, _UNKNOWN, _SUM, _NAME, _CALL, _AVERAGE, _LONG_SUM = range(9)
_SPELLED = {"asin": "arcsin", "acos": "arccos", "atan": "arctan", "Heaviside": "step", "Max": "max", "Min": "min"}


class Typesetter:
    """Sets expressions in one style with one notation."""

    def __init__(
        self, style: Style, notation: Notation, parameters: frozenset[str], states: tuple[str, ...]
    ) -> None:
        self.style, self.notation, self.parameters, self.states = style, notation, parameters, states
        self._done: dict[sp.Basic, Box] = {}

    @cached_property
    def one(self) -> Box:
        """The number one."""
        return self.style.integer(1)

    def box(self, expression: sp.Basic) -> Box:
        """The expression, set."""
        if expression not in self._done:
            self._done[expression] = self._set(expression)
        return self._done[expression]

    def _set(self, node: sp.Basic) -> Box:
        match node:
            case sp.Integer():
                return self.style.integer(int(node))
            case sp.Rational():
                box = self.style.fraction(self.style.integer(abs(int(node.p))), self.style.integer(int(node.q)))
                return total([(True, box)]) if node.p < 0 else box
            case sp.Symbol():
                return self._symbol(node)
            case Named():
                return named(self.notation, node)
            case Average():
                return self._mean(node.integrand)
            case Modulus2():
                return self.style.power(self.style.modulus(self.box(node.inner)), self.style.integer(2))
            case Fn():
                return self._call(node, None)
            case sp.Add():
                return self._sum(node)
            case sp.Mul():
                return self._product(node)
            case sp.Pow():
                return self._power(node)
            case Ratio() | Correlation() | Root() | DampedSinh():
                return self.box(node.plain)
            case sp.Abs():
                return self.style.modulus(self.box(node.args[0]))
            case sp.Function():
                head = self.notation.function(_SPELLED.get(node.func.__name__, node.func.__name__), 0)
                return self._joined(head, [self.box(part) for part in node.args])
        return self._constant(node)

    def _symbol(self, symbol: sp.Symbol) -> Box:
        found = split_moment(symbol.name)
        if found and found[0] in ("E", "P", "C") and symbol.name in self.notation.moments:
            return self._mean(self.notation.moments[symbol.name])
        return self.notation.symbol(symbol)

    def _mean(self, integrand: sp.Expr) -> Box:
        """An average, by the name that the notation has for it if there is one."""
        symbols = self.notation.symbols
        if symbols.overlap and (state := overlap_of(integrand, self.states)):
            return self._titled(symbols.overlap, state)
        base = square_base(integrand, self.states, every=symbols.squares == "all") if symbols.square else None
        if base is not None:
            return self._titled(symbols.square, base)
        return self.style.average(self.box(integrand))

    def _titled(self, pattern: str, base: sp.Expr) -> Box:
        """``pattern`` with what it is about in place of @, or as an index if there is more than one state."""
        if "@" not in pattern and len(self.states) == 1:
            return self.notation.titled(pattern, None)
        return self.notation.titled(pattern, self.box(base))

    def _constant(self, node: sp.Basic) -> Box:
        return self.notation.function(str(node), 0)

    def _call(self, node: Fn, exponent: Box | None) -> Box:
        argument = self.box(node.argument)
        if node.order == 0 and exponent is None and node.name == "sqrt":
            return self.style.root(argument)
        if node.order == 0 and exponent is None and node.name == "abs":
            return self.style.modulus(argument)
        head = self.notation.function(node.name, node.order)
        if exponent is not None:
            head = self.style.power(head, exponent)
        return self._joined(head, [argument])

    def _joined(self, head: Box, arguments: list[Box]) -> Box:
        text, width = ", ".join(part.text for part in arguments), sum(part.width + 1 for part in arguments)
        inside = self.style.bracket(Box(text, width, ATOM, any(part.tall for part in arguments)))
        return Box(head.text + inside.text, head.width + inside.width, POWER, inside.tall)

    def _power(self, node: sp.Pow) -> Box:
        base, exponent = node.base, node.exp
        if exponent.could_extract_minus_sign():
            return self._product(node)
        if exponent == sp.Rational(1, 2):
            return self.style.root(self.box(base))
        if isinstance(base, Fn) and exponent.is_Integer and (base.order or base.name not in ("abs", "sqrt")):
            return self._call(base, self.box(exponent))
        if isinstance(base, Modulus2):
            return self.style.power(self.style.modulus(self.box(base.inner)), self.box(2 * exponent))
        return self.style.power(self.box(base), self.box(exponent))

    def _sum(self, node: sp.Add) -> Box:
        terms = []
        for term in node.args:
            negative = term.could_extract_minus_sign()
            positive = -term if negative else term
            box = self.box(positive)
            if isinstance(positive, sp.Add):
                box = self.style.bracket(box)
            terms.append((self._term_key(negative, positive, box), negative, box))
        terms.sort(key=lambda item: item[0])
        return total([(negative, box) for _, negative, box in terms])

    def _term_key(self, negative: bool, term: sp.Expr, box: Box) -> tuple[object, ...]:
        """Numbers first, then the spectral parameter, few factors before many, positive before negative."""
        spectral = any(symbol.name == "lam[]" for symbol in term.free_symbols)
        return (negative, not term.is_Number, not spectral, len(sp.Mul.make_args(term)), box.flat().text)

    def _product(self, node: sp.Expr) -> Box:
        if node.could_extract_minus_sign():
            return total([(True, self._product(-node))])
        above, below = self._split(node)
        if not below:
            return self._join(above)
        bottom = self._join(below)
        averaged = any(rank >= _AVERAGE for rank, _ in below)
        outside = [item for item in above if item[0] >= _AVERAGE and (item[1].tall or not averaged)]
        inside = [item for item in above if item not in outside]
        fraction = self.style.fraction(self._join(inside), bottom)
        return self.style.product([fraction, *(box for _, box in sorted(outside, key=_order))]) if outside else fraction

    def _split(self, node: sp.Expr) -> tuple[list[tuple[int, Box]], list[tuple[int, Box]]]:
        """Ranked factors above and below the line."""
        above: list[tuple[int, Box]] = []
        below: list[tuple[int, Box]] = []
        for factor in sp.Mul.make_args(node):
            if isinstance(factor, sp.Rational) and not factor.is_Integer:
                if factor.p != 1:
                    above.append((_NUMBER, self.style.integer(int(factor.p))))
                below.append((_NUMBER, self.style.integer(int(factor.q))))
            elif isinstance(factor, sp.Pow) and factor.exp.could_extract_minus_sign():
                inverse = sp.Pow(factor.base, -factor.exp)
                below.append((self._rank(inverse), self.box(inverse)))
            else:
                above.append((self._rank(factor), self.box(factor)))
        return above, below

    def _join(self, factors: list[tuple[int, Box]]) -> Box:
        if not factors:
            return self.one
        boxes = [box for _, box in sorted(factors, key=_order)]
        return boxes[0] if len(boxes) == 1 else self.style.product(boxes)

    def _rank(self, factor: sp.Expr) -> int:
        base = factor.base if isinstance(factor, sp.Pow) else factor
        if base.is_Number or base.is_NumberSymbol:
            return _NUMBER
        if isinstance(base, Average):
            return _AVERAGE
        if isinstance(base, sp.Add):
            long = bool(base.atoms(Average)) or self.box(base).width > UNBROKEN
            return _LONG_SUM if long or any(self._is_moment(symbol) for symbol in base.free_symbols) else _SUM
        if isinstance(base, Fn):
            return _CALL
        if isinstance(base, Modulus2):
            return _SPECTRAL
        if isinstance(base, sp.Function) and self.box(base).tall:
            return _AVERAGE  # beside a fraction, not above its line
        if isinstance(base, sp.Symbol):
            return self._rank_symbol(base)
        return _NAME

    def _rank_symbol(self, symbol: sp.Symbol) -> int:
        if symbol.name in self.parameters:
            return _PARAMETER
        if symbol.name in ("lam[]", "conj(lam)[]"):
            return _SPECTRAL
        if self._is_moment(symbol):
            return _AVERAGE
        return _UNKNOWN if symbol.name[:2] in ("q[", "c[", "C[", "De", "Ph", "Ps") and "[" in symbol.name else _NAME

    def _is_moment(self, symbol: sp.Symbol) -> bool:
        return symbol.name in self.notation.moments


def _order(item: tuple[int, Box]) -> tuple[int, str]:
    """By rank, then by text, replica b after replica a."""
    return item[0], item[1].flat().text.replace(r"\tilde", "~")
