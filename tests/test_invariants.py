"""What must not change a number: names, the order of lines, the run; and what holds at a fold."""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from derive import load, parse_cell, shipped, shipped_text
from derive.cell import Cell, resolve
from derive.meanfield.static import covariance_symbol
from derive.pipeline import derive_theory
from derive.theory import Theory
from solvers.averages import Evaluator
from solvers.equations import Equations
from solvers.fixed_point import solve_all
from solvers.solution import Solution
from solvers.solve import parameter_values, solve
from solvers.spectrum.gain import OutlierMap

RTOL = 1e-12
BUILTIN = {"sigmoid", "tanh", "erf", "relu", "d", "dt"}

POINTS: dict[str, dict[str, float]] = {
    "vanilla": {"sigma_w": 1.4, "sigma_b": 0.3, "sigma_v": 0.5, "R": 1.0, "Sigma": 0.5, "mu_b": 0.2},
    "rate": {"g": 2.0},
    "minimal-rnn": {"sigma_w": 2.0, "sigma_b": 0.4, "R": 0.7, "Sigma": 0.5, "mu_b": 0.2},
    "gru": {"sigma_z": 2.0, "sigma_r": 1.5, "sigma_h": 3.0, "nu_h": 0.5, "R": 1.0, "Sigma": 0.5, "rho_z": 0.3},
    "gru-reset-after": {"sigma_z": 2.0, "sigma_r": 1.5, "sigma_h": 3.0, "rho_c": 0.3, "rho_z": 0.3},
    "lstm": {"sigma_f": 2.0, "sigma_i": 1.5, "sigma_o": 1.0, "sigma_g": 3.0, "mu_f": 0.5},
    "gated-rnn": {"g_h": 3.0, "alpha_r": 2.0, "alpha_z": 1.0, "beta_r": 0.3, "tau_r": 2.0},
}
CASES = [(name, "static") for name in sorted(shipped())]
CASES += [(name, "untied") for name in sorted(shipped()) if load(name).time == "discrete"]
SLOW = {("lstm", "static"), ("lstm", "untied"), ("gru-reset-after", "untied")}
MARKED = [pytest.param(*case, marks=pytest.mark.slow if case in SLOW else ()) for case in CASES]


# Renaming ------------------------------------------------------------------------------------------------


def renamed(name: str, seed: int) -> tuple[Cell, dict[str, str]]:
    """A shipped cell with every symbol renamed and the lines of equations and tables shuffled; the new names."""
    rng = random.Random(seed)
    table = tomllib.loads(shipped_text(name))
    cell = load(name)
    kinds = (cell.states, cell.definitions, cell.weights, cell.biases, cell.inputs, cell.parameters, cell.functions)
    old = [name for kind in kinds for name in kind]
    labels = [f"{rng.choice('abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ')}{k}_{rng.randrange(10**4)}"
              for k in range(len(old))]  # fmt: skip
    new = dict(zip(old, labels, strict=True))

    def change(text: str) -> str:
        text = re.sub(r"\bd(\w+)/dt", lambda m: f"d{new[m[1]]}/dt" if m[1] in new else m[0], text)
        return re.sub(r"[A-Za-z_]\w*", lambda m: new.get(m[0], m[0]), text)

    def entry(value: Any) -> str:
        if isinstance(value, dict):
            return "{ " + ", ".join(f"{key} = {entry(inner)}" for key, inner in value.items()) + " }"
        return json.dumps(change(value)) if isinstance(value, str) else repr(value)

    lines = [change(line) for line in table["equations"].strip().splitlines()]
    rng.shuffle(lines)
    parts = [f'name = "{name}"', 'equations = """', *lines, '"""']
    sections = [key for key in ("functions", "weights", "biases", "inputs", "parameters") if key in table]
    rng.shuffle(sections)
    for section in sections:
        items = list(table[section].items())
        rng.shuffle(items)
        body = [f"{new[key]} = {json.dumps(value) if section == 'functions' else entry(value)}" for key, value in items]
        parts += [f"[{section}]", *body]
    return parse_cell("\n".join(parts) + "\n"), new


def numbers(found: Solution, names: dict[str, str] | None = None) -> dict[str, Any]:
    """Flat numbers under the old names; ``names`` maps old to new."""
    back = {label: name for name, label in (names or {}).items()}
    flat: dict[str, Any] = {}
    for key, value in found.numbers.items():
        if isinstance(value, dict):
            flat |= {f"{key}[{back.get(inner, inner)}]": number for inner, number in value.items()}
        elif key == "atoms":
            flat[key] = [atom.get("value", atom.get("range")) for atom in value]
        elif key != "eta":
            flat[key] = value
    return flat


def assert_same(ours: Any, theirs: Any, what: str, rtol: float) -> None:
    if ours is None or theirs is None:
        assert ours is theirs, what
        return
    ours, theirs = np.asarray(ours, float), np.asarray(theirs, float)
    assert ours.shape == theirs.shape, f"{what}: {ours} and {theirs}"
    if ours.size:
        scale = np.max(np.abs(ours))
        same = np.isclose(ours, theirs, rtol=0, atol=rtol * scale, equal_nan=True)
        assert np.all(same), f"{what}: {ours} and {theirs}, apart by {np.max(np.abs(ours - theirs)) / scale:.1e}"


@cache
def original(name: str, ansatz: str) -> tuple[Solution, ...]:
    return solve(load(name), POINTS[name], ansatz=ansatz).solutions


@pytest.mark.parametrize(("name", "ansatz"), MARKED)
@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.slow), pytest.param(3, marks=pytest.mark.slow)])
def test_names_and_order_do_not_matter(name: str, ansatz: str, seed: int) -> None:
    cell, names = renamed(name, seed)
    point = {names[key]: value for key, value in POINTS[name].items()}
    ours = original(name, ansatz)
    theirs = solve(cell, point, ansatz=ansatz).solutions
    # Solutions are listed by Q of the first state, which shuffling changes: compare by Q of the same state.
    first = load(name).states
    state = next(iter(first))
    key = f"Q[{state}]"
    by_q = sorted((numbers(s, names) for s in theirs), key=lambda flat: flat[key])
    own = sorted((numbers(s) for s in ours), key=lambda flat: flat[key])
    assert len(own) == len(by_q) > 0
    for left, right in zip(own, by_q, strict=True):
        assert left.keys() == right.keys()
        for quantity in left:
            assert_same(left[quantity], right[quantity], quantity, RTOL)


# Determinism ---------------------------------------------------------------------------------------------


SCRIPT = """
import json, sys
from derive import load
from solvers.solve import solve
name, ansatz, point = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
sys.stdout.write(json.dumps(solve(load(name), point, ansatz=ansatz, seed=3).as_dict()))
"""


def run(name: str, ansatz: str, hash_seed: str) -> bytes:
    """The JSON of one call in a fresh process."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, name, ansatz, json.dumps(POINTS[name])],
        capture_output=True, check=True, cwd=Path(__file__).parent.parent,
        env={**os.environ, "PYTHONHASHSEED": hash_seed, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    return done.stdout


@pytest.mark.parametrize(("name", "ansatz"), MARKED)
def test_same_bytes_whatever_the_hash_seed(name: str, ansatz: str) -> None:
    assert run(name, ansatz, "1") == run(name, ansatz, "271828")


@pytest.mark.parametrize(("name", "ansatz"), [("gru", "static"), ("vanilla", "untied"), ("gated-rnn", "static")])
def test_same_bytes_when_called_twice(name: str, ansatz: str) -> None:
    first, second = (json.dumps(solve(load(name), POINTS[name], ansatz=ansatz).as_dict()) for _ in range(2))
    assert first == second


# Folds ---------------------------------------------------------------------------------------------------

NESTED = """
name = "nested"
equations = '''
z = sigmoid(W_z @ h)
h' = z*h + (1 - z)*tanh(W_h @ (sigmoid(A @ (z*h))*h))
'''
[weights]
W_z = 1.5
W_h = 4.0
A = 2.0
"""
SHARED = """
name = "shared"
equations = '''
z = sigmoid(W @ (h*h))
h' = z*h + (1 - z)*tanh(W @ h)
'''
[weights]
W = 2.0
"""
SHARED_NESTED = """
name = "shared-nested"
equations = '''
r = sigmoid(W @ (h*h) + b)
h' = 0.5*h + 0.5*tanh(W @ (r*h))
'''
[weights]
W = 3.0
[biases]
b = { mean = 0.3, std = 0.4 }
"""
SHARED_INPUT = """
name = "shared-input"
equations = '''
r = sigmoid(W @ (h*h))
h' = tanh(W @ (r*h) + W @ x + b)
'''
[weights]
W = 3.0
[biases]
b = { mean = 0.3, std = 0.4 }
[inputs]
x = { variance = 0.5, mean = 0.4 }
"""
SHARED_DEAD = """
name = "shared-dead"
equations = '''
z = sigmoid(W @ (h*h))
h' = z*h + (1 - z)*tanh(W @ (0.6*h + 0.4*tanh(h)) + b)
'''
[weights]
W = 2.5
[biases]
b = { mean = 0.5, std = 0.0 }
"""
FOLDS: dict[str, tuple[Cell, dict[str, float]]] = {
    "gru": (load("gru"), {"sigma_z": 2.0, "sigma_r": 2.0, "sigma_h": 4.0, "rho_h": 0.2}),
    "gated-rnn": (load("gated-rnn"), {"g_h": 4.0, "alpha_r": 10.0, "beta_r": 2.0, "alpha_z": 0.0}),
    "nested": (parse_cell(NESTED), {}),
    "shared": (parse_cell(SHARED), {}),
    "shared and nested": (parse_cell(SHARED_NESTED), {}),
    "shared with an input": (parse_cell(SHARED_INPUT), {}),
    "shared with a field that feeds nothing": (parse_cell(SHARED_DEAD), {}),
}


def static_jacobian(cell: Cell, point: dict[str, float], values: Any) -> np.ndarray:
    """d(sigma^2 E[v_k v_l])/dC_mn of all field covariances, not reduced to feedback unknowns, by differences."""
    theory = derive_theory(cell)
    evaluator = Evaluator(theory.law, theory.implicit)
    unknowns = list(theory.system.equations)
    known = parameter_values(theory, resolve(cell, point)) | dict(values)

    def image(shift: np.ndarray) -> np.ndarray:
        moved = known | {s: known[s] + d for s, d in zip(unknowns, shift, strict=True)}
        return np.array([evaluator(theory.system.equations[s], moved, 1e-12).value for s in unknowns])

    columns = []
    for k, symbol in enumerate(unknowns):
        if symbol.is_nonnegative and known[symbol] == 0.0:
            columns.append(np.zeros(len(unknowns)))
            continue
        h = 1e-3 * max(abs(known[symbol]), 0.0 if symbol.is_nonnegative else 0.1 * max(known[s] for s in unknowns))
        step = np.zeros(len(unknowns))
        step[k] = h
        near, far = image(step) - image(-step), image(2 * step) - image(-2 * step)
        columns.append((8 * near - far) / (12 * h))
    return np.array(columns).T


def covariance_shift(theory: Theory, values: dict[Any, float]) -> tuple[list[int], np.ndarray]:
    """Which equations of the static map live fields move, and the change of their covariances with A's vector m.

    A live field moves by du_k = sum_l u_l m_lk plus noise, so that dC_lk = (C m)_lk + (C m)_kl.  Fields that feed
    nothing move too, but not by m, and no other covariance depends on theirs: they are left out.
    """
    spectrum, fields = theory.spectrum, theory.site.fields
    assert spectrum is not None
    live, kept = set(spectrum.fields), set(spectrum.fields) | theory.site.input_fields
    place = {pair: column for column, pair in enumerate(spectrum.conditions)}

    def symbol(k: int, m: int) -> Any:
        return covariance_symbol(fields[min(k, m)].name, fields[max(k, m)].name)

    pairs = [(k, m) for members in theory.site.groups.values() for at, k in enumerate(members) for m in members[at:]
             if {k, m} <= kept and {k, m} & live]  # fmt: skip
    shift = np.zeros((len(pairs), len(place)))
    for row, pair in enumerate(pairs):
        for left, right in (pair, pair[::-1]):
            for (l, k), column in place.items():  # noqa: E741
                if k == right:
                    shift[row, column] += values[symbol(left, l)]
    unknowns = list(theory.system.equations)
    return [unknowns.index(symbol(*pair)) for pair in pairs], shift


@pytest.mark.parametrize("case", sorted(FOLDS))
def test_outlier_map_at_the_stability_line_is_that_of_the_static_map(case: str) -> None:
    """At lambda = 1 (0 in continuous time) A, acting on covariances, is dC'/dC of the static map.

    Where no matrix is shared this makes the determinants equal; fields of one matrix have rotations besides, which
    change no covariance and are eigenvalues of A only.
    """
    cell, point = FOLDS[case]
    theory = derive_theory(cell)
    assert theory.spectrum is not None
    evaluator = Evaluator(theory.law, theory.implicit)
    line = np.array([(1.0 if theory.site.discrete else 0.0) + 1e-13j])
    tested = 0
    for found in solve(theory, point).solutions:
        if max(q for q in found.numbers["Q"].values()) == 0.0:
            continue
        outlier = OutlierMap(theory, found.values, evaluator, 1e-12)
        rows, shift = covariance_shift(theory, dict(found.values))
        whole = static_jacobian(cell, point, found.values)
        slopes = whole[np.ix_(rows, rows)]
        scale = np.max(np.abs(slopes @ shift))
        np.testing.assert_allclose(shift @ outlier.matrix(line)[0].real, slopes @ shift, rtol=0, atol=1e-7 * scale)
        if all(k == m for k, m in theory.spectrum.conditions):
            expected = np.linalg.det(np.eye(len(whole)) - whole)
            assert outlier.determinant(line)[0] == pytest.approx(expected, rel=1e-7, abs=1e-8)
        tested += 1
    assert tested > 0


@pytest.mark.parametrize("case", ["gru", "gated-rnn", "nested"])
def test_outlier_condition_agrees_with_the_reduced_map(case: str) -> None:
    """Cutting the dependency graph to feedback unknowns leaves det(1 - dG/dx) as it was."""
    cell, point = FOLDS[case]
    theory = derive_theory(cell)
    evaluator = Evaluator(theory.law, theory.implicit)
    equations = Equations(theory.system, theory.law, evaluator, parameter_values(theory, resolve(cell, point)))
    found = solve(theory, point).solutions[-1]
    assert set(equations.feedback) <= set(found.values)
    x = np.array([found.values[s] for s in equations.feedback])
    h = 1e-4 * x
    columns = [
        (equations.complete(x + d, 1e-12).image - equations.complete(x - d, 1e-12).image) / (2 * d.max())
        for d in np.diag(h)
    ]
    reduced = np.linalg.det(np.eye(len(x)) - np.array(columns).T)
    whole = static_jacobian(cell, point, found.values)
    assert reduced == pytest.approx(np.linalg.det(np.eye(len(whole)) - whole), rel=1e-5)


def test_an_outlier_reaches_zero_where_two_static_solutions_merge() -> None:
    """Gated network, alpha_r = 10, beta_r = 2: the fold in g_h."""
    theory = derive_theory(load("gated-rnn"))
    evaluator = Evaluator(theory.law, theory.implicit)
    fixed = {"alpha_r": 10.0, "beta_r": 2.0, "alpha_z": 0.0}

    def count(g: float) -> int:
        settings = resolve(theory.site.cell, fixed | {"g_h": g})
        return len(solve_all(Equations(theory.system, theory.law, evaluator, parameter_values(theory, settings)),
                             1e-8).solutions)  # fmt: skip

    low, high = 1.5, 4.0
    assert count(low) == 1
    assert count(high) == 3
    while high - low > 1e-4:
        middle = (low + high) / 2
        low, high = (low, middle) if count(middle) == 3 else (middle, high)
    determinants = []
    gaps = []
    distances = np.array([0.2, 0.05, 0.0125])
    for distance in distances:
        _, lower, upper = solve(theory, fixed | {"g_h": high + distance}).solutions
        at_line = [OutlierMap(theory, s.values, evaluator, 1e-12).determinant(np.array([1e-13j]))[0].real
                   for s in (lower, upper)]  # fmt: skip
        assert at_line[0] < 0 < at_line[1]  # the lower branch has an unstable real eigenvalue, the upper has none
        determinants.append(at_line)
        gaps.append(np.log(upper["q[J_h]"] / lower["q[J_h]"]))
    # Square-root law: both the distance of the branches and det(1 - A) halve when the distance to the fold quarters.
    for series in (np.array(determinants)[:, 0], np.array(determinants)[:, 1], np.array(gaps)):
        ratios = series[1:] / series[:-1]
        assert np.all(np.abs(ratios - 0.5) < 0.12), series
    assert np.all(np.abs(determinants[-1]) < 0.2)
