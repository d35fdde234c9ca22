"""Formulas written by hand: correct ones, LaTeX for some of them, and mutants that are wrong."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Formula:
    """A correct formula; `fixed` holds the parameters that it fixes, all others are free."""

    id: str
    cell: str
    ansatz: str
    formula: str
    note: str
    where: str = ""

    @property
    def fixed(self) -> dict[str, float]:
        return parse_where(self.where)


@dataclass(frozen=True)
class Latex:
    """The formula with id `of` as a paper prints it; `symbols` says what symbols stand for unknown to the cell."""

    of: str
    latex: str
    note: str = ""
    symbols: dict[str, str] = field(default_factory=dict)

    @property
    def formula(self) -> Formula:
        return next(f for f in formulas() if f.id == self.of)


@dataclass(frozen=True)
class Mutant:
    """A wrong formula, made from the correct one with id `of`; `difference` is how far its two sides are apart."""

    of: str
    cell: str
    ansatz: str
    where: str
    formula: str
    mutation: str
    difference: float

    @property
    def fixed(self) -> dict[str, float]:
        return parse_where(self.where)


def parse_where(text: str) -> dict[str, float]:
    """Parameters from "name=number, name=number"."""
    pairs = (part.split("=") for part in text.split(",") if part.strip())
    return {name.strip(): float(value) for name, value in pairs}


@cache
def formulas() -> list[Formula]:
    """The correct formulas, in the order of corpus.toml."""
    return [Formula(**entry) for entry in tomllib.loads((FOLDER / "corpus.toml").read_text())["formula"]]


@cache
def latex() -> list[Latex]:
    """LaTeX for some of the correct formulas."""
    return [Latex(**entry) for entry in tomllib.loads((FOLDER / "latex.toml").read_text())["latex"]]


@cache
def mutants() -> list[Mutant]:
    """The certified mutants; `python tests/hand/mutate.py` writes their file."""
    found: list[Mutant] = []
    for line in (FOLDER / "mutants.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            of, cell, ansatz, where, formula, mutation, difference = (part.strip() for part in line.split(" | "))
            found.append(Mutant(of, cell, ansatz, where, formula, mutation, float(difference)))
    return found
