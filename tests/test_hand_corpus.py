"""The hand-written corpus: its size, and a sample of it certified again without the package."""

from __future__ import annotations

import ast

import numpy as np
import pytest
from hand import Formula, Mutant, formulas, latex, mutants
from hand.independent import APART, EQUAL, RANGES, differences, points, sides
from hand.measure import slope
from hand.mutate import certified

from derive import load, shipped


def test_size() -> None:
    assert len(formulas()) >= 80
    assert len(mutants()) >= 400
    assert len(latex()) >= 25
    assert len({f.id for f in formulas()}) == len(formulas())
    assert {f.cell for f in formulas()} == set(shipped())


def test_every_ansatz_is_there() -> None:
    covered = {(f.cell, f.ansatz) for f in formulas()}
    maps = {cell for cell in RANGES if load(cell).time == "discrete"}
    assert covered == {(cell, "static") for cell in RANGES} | {(cell, "untied") for cell in maps}


def test_mutants_belong_to_formulas() -> None:
    ids = {f.id for f in formulas()}
    right = {(f.cell, f.ansatz, f.where, f.formula) for f in formulas()}
    assert {m.of for m in mutants()} == ids
    assert not right & {(m.cell, m.ansatz, m.where, m.formula) for m in mutants()}
    assert min(m.difference for m in mutants()) > APART
    assert len({m.mutation for m in mutants()}) >= 20


def test_latex_belongs_to_formulas() -> None:
    for entry in latex():
        assert entry.formula.id == entry.of
        assert entry.latex.count("{") == entry.latex.count("}")
        assert entry.latex.count(r"\left") - entry.latex.count(r"\leftarrow") == entry.latex.count(r"\right")
        for stands_for in entry.symbols.values():
            ast.parse(stands_for, mode="eval")


def test_conditions_and_syntax() -> None:
    for entry in (*formulas(), *mutants()):
        assert set(entry.fixed) <= set(RANGES[entry.cell])
        sides(entry.formula)


@pytest.mark.parametrize("entry", formulas()[::4], ids=lambda f: f.id)
def test_sample_of_formulas_holds(entry: Formula) -> None:
    assert max(differences(entry.cell, entry.ansatz, entry.where, entry.formula, 1)) < EQUAL


@pytest.mark.parametrize("entry", mutants()[::25], ids=lambda m: f"{m.of}-{m.mutation}")
def test_sample_of_mutants_fails(entry: Mutant) -> None:
    assert max(differences(entry.cell, entry.ansatz, entry.where, entry.formula, 1)) > APART


@pytest.mark.parametrize("cell", ["vanilla", "minimal-rnn", "gru"])
def test_growth_is_the_slope_of_the_replica_map(cell: str) -> None:
    """chi1, written by hand from squares of a perturbation, against differences of the overlap map at equal inputs."""
    site = points(cell, "untied", "", 1, False)[0].site
    Q = site.number("Q[h]")
    assert abs(site.extra["overlap"](Q, 1.0) - Q) < 1e-8
    assert np.isclose(slope(lambda C: site.extra["overlap"](C, 1.0), Q, Q, Q), site.number("chi1"), rtol=1e-6)


@pytest.mark.slow
def test_all_formulas_hold() -> None:
    wrong = [f.id for f in formulas() if not max(differences(f.cell, f.ansatz, f.where, f.formula)) < EQUAL]
    assert not wrong


@pytest.mark.slow
def test_mutants_are_those_of_the_file() -> None:
    lines = [line.rsplit(" | ", 1)[0] for line in certified()]
    assert lines == [" | ".join([m.of, m.cell, m.ansatz, m.where, m.formula, m.mutation]) for m in mutants()]
