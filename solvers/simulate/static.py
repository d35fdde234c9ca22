"""Static solutions of finite networks: tied weights, inputs and biases constant in time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial

import numpy as np

from derive.cell.parameters import Settings
from derive.cell.spec import Cell
from solvers.simulate.elementwise import Array
from solvers.simulate.fixed_point import FixedPoint, newton_from, relax
from solvers.simulate.measurement import Measurement, each_network, rows_from
from solvers.simulate.network import Network
from solvers.simulate.planted import plant
from solvers.simulate.spectra import eigenvalues, spectral_abscissa, spectral_radius

StateDraw = Callable[[Network], Array]
SiteDraw = Callable[[Network], Mapping[str, Array]]
Sites = dict[str, Array]


@dataclass(frozen=True)
class StaticSample:
    """One network at rest.

    Attributes
    ----------
    point : the fixed point, converged or not
    eigenvalues : of the (S*N, S*N) Jacobian, complex; empty where the point was not found or none were asked
    sites : (N,) columns by name - states, fields, biases, inputs - of the N units; see `sites_of`
    values : the measured quantities by name; empty where the point was not found
    """

    point: FixedPoint
    eigenvalues: Array
    sites: Sites
    values: Mapping[str, float]


@dataclass(frozen=True)
class StaticMeasurement(Measurement):
    """A `Measurement` with every network's sample.

    Rows: ``q[W]`` = gain^2 mean v^2 and ``mean_u2[W]`` = mean u^2 by field (equal as N grows), ``Q[s]`` = mean s^2 by
    state, ``q_total[d]`` = variance over units of the argument of a definition d = f(argument), and
    ``spectral_radius`` (discrete time) or ``spectral_abscissa`` (continuous time) unless spectra were not asked.
    """

    samples: tuple[StaticSample, ...]


def measure_static(
    cell: Cell,
    settings: Settings,
    *,
    N: int,
    seeds: int,
    seed: int = 0,
    scale: float = 1.0,
    start: StateDraw | None = None,
    planted: SiteDraw | None = None,
    spectra: bool = True,
    tolerance: float = 1e-10,
    max_steps: int = 3000,
    executor: Executor | None = None,
) -> StaticMeasurement:
    """Draw ``seeds`` networks of N units and measure the static solution of each.

    Without ``start`` the dynamics relax from a random state of standard deviation ``scale``, which finds stable
    solutions.  With ``start`` (network -> state (S, N), to be drawn with ``network.rng``) Newton searches from
    that state, which also finds some unstable ones; the branch is then the caller's to check.  With ``planted``
    (network -> columns by name) the weights are conditioned on that solution, see `plant`.  The result depends on
    ``seed`` only, not on the executor or the order of its workers.
    """
    work = partial(
        sample_static,
        cell,
        settings,
        N,
        scale=scale,
        start=start,
        planted=planted,
        spectra=spectra,
        tolerance=tolerance,
        max_steps=max_steps,
    )
    samples = each_network(work, seed, seeds, executor)
    return StaticMeasurement(
        rows=rows_from([sample.values for sample in samples]),
        N=N,
        seeds=seeds,
        seed=seed,
        outcomes=tuple(sample.point.outcome for sample in samples),
        settled=tuple(sample.point.converged for sample in samples),
        samples=samples,
    )


def sample_static(
    cell: Cell,
    settings: Settings,
    N: int,
    sequence: np.random.SeedSequence,
    *,
    scale: float = 1.0,
    start: StateDraw | None = None,
    planted: SiteDraw | None = None,
    spectra: bool = True,
    tolerance: float = 1e-10,
    max_steps: int = 3000,
) -> StaticSample:
    """One network from one seed: its fixed point, spectrum and site measure."""
    network = Network(cell, settings, N, np.random.default_rng(sequence))
    if planted is not None:
        point = plant(network, planted(network), tolerance=tolerance)
    elif start is None:
        point = relax(network, network.random_state(scale), tolerance=tolerance, max_steps=max_steps)
    else:
        point = newton_from(network, start(network), tolerance=tolerance)
    return sample_at(network, point, spectra=spectra)


def sample_at(network: Network, point: FixedPoint, *, spectra: bool = True) -> StaticSample:
    """What is measured at a fixed point of a network."""
    sites = sites_of(network, point.state)
    if not point.converged:
        return StaticSample(point, np.zeros(0, dtype=complex), sites, {})
    values = _moments(network, point)
    if not spectra:
        return StaticSample(point, np.zeros(0, dtype=complex), sites, values)
    spectrum = eigenvalues(network.jacobian(point.state).astype(network.dtype, copy=False))
    if network.cell.time == "discrete":
        values["spectral_radius"] = spectral_radius(spectrum)
    else:
        values["spectral_abscissa"] = spectral_abscissa(spectrum)
    return StaticSample(point, spectrum, sites, values)


def sites_of(network: Network, state: Array) -> Sites:
    """(N,) columns by name: every state, field u = W @ v, bias and input of the units, at state (S, N)."""
    columns = dict(zip(network.states, np.asarray(state, dtype=float), strict=True))
    columns |= network.evaluate(state).fields
    return columns | network.biases | network.inputs


def _moments(network: Network, point: FixedPoint) -> dict[str, float]:
    step = network.evaluate(point.state)
    values = {f"q[{name}]": variance for name, variance in point.q.items()}
    values |= {f"mean_u2[{name}]": float(np.mean(u * u)) for name, u in step.fields.items()}
    values |= {f"Q[{name}]": moment for name, moment in point.Q.items()}
    values |= {f"q_total[{name}]": float(np.var(x)) for name, x in step.arguments.items()}
    return values
