"""Finite networks at every point of a design: one network for each size, number and parameter point.

A network's random numbers depend on the root seed, the parameter point, its size and its number alone, so that no
chunk, worker or order of work changes them, and a longer list of sizes or more networks keep those that were there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from derive.cell.parameters import resolve
from derive.cell.reader import parse_cell
from derive.cell.spec import Cell
from derive.errors import AnsatzError, GatefieldError, ParameterError
from solvers.budget import BudgetSpent, check_budget
from solvers.compare.networks import NEARLY_AT_REST
from solvers.compare.untied import one_untied
from solvers.simulate.fixed_point import FixedPoint, newton_from, relax
from solvers.simulate.network import Network
from solvers.simulate.static import sample_at
from solvers.simulate.together import relax_together
from solvers.simulate.untied import require_discrete
from solvers.sweep.design import NETWORK, SIZE
from solvers.sweep.engine import CONVERGED, FAILED, NOT_CONVERGED, REFUSED, Answer, Engine, Networks, Points, Request
from solvers.sweep.quantities import Quantity

LEAST_UNITS = 32
TOLERANCE = {"float64": 1e-10, "float32": 1e-5}
"""Residual of a fixed point, by the precision of products."""

PRECISIONS: Mapping[str, type[np.floating[Any]]] = {"float64": np.float64, "float32": np.float32}
LARGE = 300
"""Units from which a chunk holds a single network."""

FEW = 8


def networks_engine(cell: Cell, ansatz: str, networks: Networks) -> Engine:
    """The engine that measures networks.

    Raises
    ------
    ParameterError : sizes, numbers or precision that cannot be measured.
    AnsatzError : the ansatz does not apply to this cell.
    """
    if not networks.sizes or min(networks.sizes) < LEAST_UNITS or len(set(networks.sizes)) < len(networks.sizes):
        raise ParameterError(f"-N: sizes are different numbers of at least {LEAST_UNITS} units; "
                             f"{', '.join(map(str, networks.sizes)) or 'none'} was given")  # fmt: skip
    if ansatz == "untied":
        require_discrete(cell)
        if networks.precision != "float64" or networks.starts > 1:
            raise AnsatzError("--float32 and --starts are for networks whose weights are held (--ansatz static): where "
                              "they are redrawn, products are along a few directions, for both replicas")  # fmt: skip
    elif ansatz != "static":
        raise AnsatzError(f"networks are swept by the ansaetze static and untied, not `{ansatz}`")
    return Engine("networks", 1 if max(networks.sizes) >= LARGE else FEW, evaluate_networks)


def evaluate_networks(request: Request, points: Points) -> Answer:
    """Measure one network at each point.

    Raises
    ------
    BudgetSpent : the time is over; nothing of the chunk is returned.
    """
    assert request.networks is not None
    cell = parse_cell(request.cell)
    answer = Answer.empty(request, len(points))
    each = len(request.networks.sizes) * request.networks.seeds
    for k in range(len(points)):
        check_budget()
        given = points.at(k)
        N, number = int(given.pop(SIZE)), int(given.pop(NETWORK))
        key = (int(points.numbers[k]) // each, N, number)
        sequence = np.random.SeedSequence(request.seed, spawn_key=key)
        try:
            _measure(answer, k, request, cell, {**request.parameters, **given}, N, sequence)
        except BudgetSpent:
            raise
        except ParameterError as error:
            answer.judge(k, REFUSED, str(error))
        except GatefieldError as error:
            answer.judge(k, FAILED, str(error))
        except (np.linalg.LinAlgError, ValueError, ArithmeticError) as error:
            answer.judge(k, FAILED, f"{type(error).__name__}: {error}")
    return answer


def _measure(
    answer: Answer, k: int, request: Request, cell: Cell, parameters: Mapping[str, float], N: int,
    sequence: np.random.SeedSequence,
) -> None:  # fmt: skip
    networks = request.networks
    assert networks is not None
    settings = resolve(cell, parameters)
    if request.ansatz == "untied":
        sample = one_untied(cell, settings, N, sequence, networks.seeds)
        _put(answer, (k,), request.quantities, sample.values, sample.settled, sample.outcome)
        return
    network = Network(cell, settings, N, np.random.default_rng(sequence), dtype=PRECISIONS[networks.precision])
    spectra = any(quantity.name.startswith("spectral") for quantity in request.quantities)
    for m, point in enumerate(_rest(network, networks)):
        check_budget()
        values = sample_at(network, point, spectra=spectra).values
        place = (k,) if networks.starts == 1 else (k, m)
        _put(answer, place, request.quantities, values, point.converged, point.outcome)


def _rest(network: Network, networks: Networks) -> Sequence[FixedPoint]:
    """Where the dynamics lead from each initial state; Newton's method ends what is nearly at rest."""
    tolerance = TOLERANCE[networks.precision]
    states = [network.random_state() for _ in range(networks.starts)]
    if len(states) == 1:
        found = [relax(network, states[0], tolerance=tolerance)]
    else:
        found = relax_together(network, np.stack(states, axis=-1), tolerance=tolerance)
    return [
        newton_from(network, point.state, tolerance=tolerance)
        if not point.converged and point.residual < NEARLY_AT_REST
        else point
        for point in found
    ]


def _put(
    answer: Answer, place: tuple[int, ...], quantities: Sequence[Quantity], values: Mapping[str, float], good: bool,
    outcome: str,
) -> None:  # fmt: skip
    for quantity in quantities:
        names = [f"{quantity.name}[{label}]" for label in quantity.labels] if quantity.dimension else [quantity.name]
        numbers = np.array([values.get(name, math.nan) for name in names])
        answer.values[quantity.name][place] = numbers if quantity.dimension else numbers[0]
    answer.judge(place, CONVERGED if good else NOT_CONVERGED, "" if good else outcome)
