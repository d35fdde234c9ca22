"""Reads back the integrand in the name of a moment, such as ``h**2`` in ``E[h**2]``.

The names are made by this package's own printers, so the grammar is small: sums, products, powers, calls with
primes, and symbols with brackets and a replica mark.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import sympy as sp

from derive.elementary import BUILTINS, Fn
from derive.write.nodes import Named

_TOKEN = re.compile(r"\s*(\*\*|[-+*/()]|[^\W\d]\w*(?:\[(?:[^\[\]]|\[[^\[\]]*\])*\])?(?:\^b)?'*|\d+(?:\.\d+)?)")


def split_moment(text: str) -> tuple[str, str] | None:
    """``E[h**2]`` is ("E", "h**2"); None for a name without brackets around all that follows its head."""
    match = re.fullmatch(r"([A-Za-z]+)\[(.*)\]", text, re.DOTALL)
    return (match[1], match[2]) if match else None


def read_integrand(text: str, known: Mapping[str, sp.Symbol]) -> sp.Expr | None:
    """The expression that prints as ``text``; None where the text is not one."""
    tokens = _tokens(text)
    if tokens is None:
        return None
    try:
        reader = _Reader(tokens, known)
        value = reader.sum()
    except (IndexError, ValueError, ZeroDivisionError):
        return None
    return value if reader.at_end() else None


def square_base(integrand: sp.Expr, states: tuple[str, ...], *, every: bool) -> sp.Expr | None:
    """f where the integrand is f^2 and f is a state, or with ``every`` anything that has a name; None otherwise."""
    if not isinstance(integrand, sp.Pow) or integrand.exp != 2:
        return None
    base = integrand.base
    if isinstance(base, (sp.Symbol, Named)) and base.name in states and not getattr(base, "primes", 0):
        return base
    named = isinstance(base, Named) or (isinstance(base, Fn) and isinstance(base.argument, (sp.Symbol, Named)))
    return base if every and named else None


def overlap_of(integrand: sp.Expr, states: tuple[str, ...]) -> sp.Expr | None:
    """The state whose values in two replicas the integrand multiplies; None for anything else."""
    if not isinstance(integrand, sp.Mul) or len(integrand.args) != 2:
        return None
    names = {getattr(factor, "name", ""): factor for factor in integrand.args if isinstance(factor, sp.Symbol)}
    return next((names[state] for state in states if {state, f"{state}^b"} == set(names)), None)


def _tokens(text: str) -> list[str] | None:
    found: list[str] = []
    position = 0
    text = text.rstrip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            return None
        found.append(match[1])
        position = match.end()
    return found


class _Reader:
    """Recursive descent over the tokens."""

    def __init__(self, tokens: list[str], known: Mapping[str, sp.Symbol]) -> None:
        self.tokens, self.known, self.position = tokens, known, 0

    def at_end(self) -> bool:
        return self.position == len(self.tokens)

    def _peek(self) -> str:
        return "" if self.at_end() else self.tokens[self.position]

    def _take(self) -> str:
        self.position += 1
        return self.tokens[self.position - 1]

    def _expect(self, token: str) -> None:
        if self._take() != token:
            raise ValueError(token)

    def sum(self) -> sp.Expr:
        value = self._product()
        while self._peek() in ("+", "-"):
            value = value + self._product() if self._take() == "+" else value - self._product()
        return value

    def _product(self) -> sp.Expr:
        value = self._signed()
        while self._peek() in ("*", "/"):
            value = value * self._signed() if self._take() == "*" else value / self._signed()
        return value

    def _signed(self) -> sp.Expr:
        if self._peek() == "-":
            self._take()
            return -self._signed()
        base = self._atom()
        if self._peek() == "**":
            self._take()
            return base ** self._signed()
        return base

    def _atom(self) -> sp.Expr:
        token = self._take()
        if token == "(":
            value = self.sum()
            self._expect(")")
            return value
        if token[0].isdigit():
            return sp.Rational(token)
        if self._peek() == "(" and token not in self.known:
            self._take()
            argument = self.sum()
            self._expect(")")
            return _call(token, argument)
        if "'" in token or token in ("*", "/", "+", ")", "**"):
            raise ValueError(token)
        return self.known.get(token, sp.Symbol(token, real=True))


def _call(token: str, argument: sp.Expr) -> sp.Expr:
    name = token.rstrip("'")
    if name == "sqrt" and name == token and name in BUILTINS:
        return sp.sqrt(argument)
    return Fn(name, len(token) - len(name), argument)
