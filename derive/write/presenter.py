"""A theory ready to be set: names, moments and media brought together, and the blocks a document is made of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Union

import sympy as sp

from derive.gaussian.average import Average
from derive.limits import limits_of
from derive.stability.products import block_symbols, closed_products
from derive.stability.singular import closed_moments
from derive.stability.spectrum import LAM, LAM_CONJ
from derive.theory import Step, Theory
from derive.write.box import Box
from derive.write.collect import collect
from derive.write.medium import LatexMedium, Medium, TextMedium, set_prose
from derive.write.modulus import Conjugation
from derive.write.moments import read_integrand, split_moment
from derive.write.naming import Names, names_of, site_names
from derive.write.nodes import Named
from derive.write.notation import LatexNotation, TextNotation, latex_notation, text_notation
from derive.write.preset import DEFAULT, load_notation
from derive.write.prose import with_formulas
from derive.write.references import Equation
from derive.write.style import LatexStyle, Style, TextStyle
from derive.write.tree import TreeSetter
from derive.write.typeset import Typesetter


@dataclass(frozen=True)
class Heading:
    """A section (level 1), or a step inside one (level 2); ``number`` is its place, such as 3.2; rule : of a step."""

    text: str
    level: int = 1
    number: str = ""
    rule: str = ""


@dataclass(frozen=True)
class Paragraph:
    """A set sentence or two; ``label`` stands out in front.

    sources : rules whose equations the text refers to; it is written when these have their numbers.
    """

    text: str
    label: str = ""
    sources: tuple[str, ...] = ()


@dataclass(frozen=True)
class Row:
    """left = right, or a right-hand side alone."""

    left: Box | None
    right: Box
    relation: str = "="


@dataclass(frozen=True)
class Display:
    """Equations under each other; numbered ones can be referred to, and have a number and a label for each row."""

    rows: tuple[Row, ...]
    numbered: bool = True
    equations: tuple[Equation, ...] = ()

    def tags(self) -> tuple[str, ...]:
        """The number of each row, empty where it has none."""
        return tuple(str(item.number) for item in self.equations) or ("",) * len(self.rows)


Block = Union[Heading, Paragraph, Display]


class Presenter:
    """Sets the expressions, equations and sentences of one theory in one medium."""

    def __init__(
        self,
        theory: Theory,
        limits: tuple[Step, ...],
        style: Style,
        notation: LatexNotation | TextNotation,
        medium: Medium,
        *,
        indexed: bool = False,
    ) -> None:
        self.theory, self.limits = theory, limits
        self.style, self.notation, self.medium = style, notation, medium
        self.conjugation = Conjugation(LAM, LAM_CONJ)
        self.names, self.site_names = names_of(theory), site_names(theory)
        states = tuple(theory.site.cell.states)
        self.typesetter = Typesetter(style, notation, frozenset(theory.site.parameters), states)
        self.tree = TreeSetter(theory.site.cell, style, notation, indexed=indexed)

    def show(self, expression: sp.Basic, without: Iterable[Named] = (), names: Names | None = None) -> Box:
        """An expression with its names, moduli and common factors."""
        if not isinstance(expression, sp.Expr):
            return self.typesetter.box(expression)
        renamed = (names or self.names).apply(expression, without)
        return self.typesetter.box(collect(self.conjugation.fold(renamed)))

    def plain(self, expression: sp.Basic) -> Box:
        """An expression as it is."""
        return self.typesetter.box(expression)

    def words(self, text: str) -> str:
        """A sentence of ours, formulas between dollar signs."""
        return set_prose(text, self.medium)

    def sentence(self, text: str) -> str:
        """A sentence that a derivation carries, its formulas found by themselves."""
        escaped = text.replace("$", "")
        return set_prose(with_formulas(escaped), self.medium)

    def for_bodies(self) -> TreeSetter:
        """Sets the bodies of functions, where x is the argument whatever else the cell calls x."""
        table = {name: shown for name, shown in self.notation.table.items() if name != "x"}
        return TreeSetter(self.theory.site.cell, self.style, replace(self.notation, table=table))

    def squares(self) -> str:
        """How the notation writes averages of squares and of two replicas, as equations in a sentence."""
        symbols, pairs = self.notation.symbols, []
        if "@" in symbols.square:
            letter, two = Box("f", 1), self.style.integer(2)
            pairs.append((self.notation.titled(symbols.square, letter), self.style.power(letter, two)))
        for state in self.theory.site.states:
            if symbols.square and "@" not in symbols.square:
                pairs.append((self.plain(Average(state**2)), self.plain(state**2)))
            copy = sp.Symbol(f"{state.name}^b", real=True)
            if symbols.overlap and self.theory.replicas is not None:
                pairs.append((self.plain(Average(state * copy)), self.plain(state * copy)))
        return ", ".join(
            self.medium.math(f"{name.flat().text} = {self.style.average(inner).flat().text}") for name, inner in pairs
        )

    def field(self, number: int) -> str:
        """Name of a field."""
        return self.theory.site.fields[number].name


def latex_presenter(
    theory: Theory, notation: str = DEFAULT, medium: Callable[[LatexNotation], Medium] = LatexMedium
) -> Presenter:
    """For media whose formulas are written in LaTeX."""
    preset = load_notation(notation)
    limits = limits_of(theory)
    names = latex_notation(theory.site.cell, preset, moments_of(theory, (*limits, *_singular_steps(theory))))
    return Presenter(theory, limits, LatexStyle(preset.latex), names, medium(names), indexed=preset.time == "index")


def text_presenter(theory: Theory, notation: str = DEFAULT) -> Presenter:
    """For a terminal."""
    preset = load_notation(notation)
    limits = limits_of(theory)
    names = text_notation(theory.site.cell, preset, moments_of(theory, (*limits, *_singular_steps(theory))))
    return Presenter(theory, limits, TextStyle(preset.text), names, TextMedium(names), indexed=preset.time == "index")


def _singular_steps(theory: Theory) -> tuple[Step, ...]:
    found = (closed_moments(theory), closed_products(theory))
    return tuple(step for item in found if item is not None for step in item.steps)


def moments_of(theory: Theory, limits: tuple[Step, ...] = ()) -> dict[str, sp.Expr]:
    """The integrand behind the name of every moment that occurs in a theory."""
    known = known_symbols(theory)
    names = names_of(theory)
    found: dict[str, sp.Expr] = {}
    for expression in _expressions(theory, limits):
        for symbol in expression.free_symbols:
            parts = split_moment(symbol.name)
            if parts is None or parts[0] not in ("E", "P", "C") or symbol.name in found:
                continue
            integrand = read_integrand(parts[1], known)
            if integrand is not None:
                found[symbol.name] = names.apply(integrand)
    return found


def known_symbols(theory: Theory) -> dict[str, sp.Symbol]:
    """Every site variable and parameter by name."""
    site = theory.site
    symbols = [*theory.law.blocks, *site.states, *site.parameters.values(), *(item.symbol for item in site.fields)]
    symbols += list(block_symbols(site))
    return {symbol.name: symbol for symbol in symbols}


def _expressions(theory: Theory, limits: tuple[Step, ...]) -> Iterator[sp.Basic]:
    for step in (*theory.steps, *limits):
        for left, right in step.equations:
            yield from (left, right)
    yield from theory.system.equations.values()
    yield from theory.observables.values()
    if theory.perturbation is not None:
        yield from theory.perturbation
    if theory.replicas is not None:
        yield from theory.replicas.system.equations.values()
        yield from theory.replicas.covariances.values()
        yield from theory.replicas.perturbation
