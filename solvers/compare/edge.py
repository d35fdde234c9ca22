"""Where the spectrum of one finite network ends, without looking at its extreme eigenvalue.

The largest |lambda| of N units exceeds the edge of the support by about sqrt(log N / N) (1-2 % at N = 1000) and
scatters as much.  What is measured here instead is where the expansion

    (lam - J)^-1 = sum_n S^n (lam - L)^-1,      S(lam) = (lam - L)^-1 (J - L),

stops to contract: the growth of |S^n x|^2 per step, for random x and moderate n, crosses one.  As n grows at fixed N
that is the extreme eigenvalue (Gelfand); for N >> n it is the edge, with a bias of order n/N.  J - L is the network's
own Jacobian-vector product and L the same with all matrices set to zero while the fields keep their values, so nothing
of the theory enters but the direction in which to look.  Measured at N = 400 for steps 2 to 8: bias below 0.3 %
and a scatter of 0.3-0.6 % per network (single and nested gates, one to three states), where the
largest eigenvalue scatters by 2-3 % and a fit of 1/|(lam - J)^-1|^2 to points outside by 1-2 %, with a bias of
several per cent where one state couples much more strongly than another.

States that drive others and are not driven back make J block triangular: its eigenvalues are those of the blocks,
and growth is taken in each block alone, because what one feeds into the next passes for growth until it settles.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from scipy.optimize import brentq
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import ArpackError, LinearOperator, eigs

from solvers.simulate import Network
from solvers.simulate.elementwise import Array
from solvers.simulate.linearisation import Linearisation

FIRST, LAST = 2, 8
"""Steps between which growth is taken: transients are over, periods two and three come out even, n << N."""

COLUMNS = 24
NO_GROWTH = -50.0
"""ln growth where nothing scatters."""

SEPARATED = 1.08
"""An eigenvalue of S this much above the mean-square growth is an isolated one and is taken out."""


class Scattering:
    """S(lam) of one network from its derivative at one state."""

    def __init__(self, network: Network, tangent: Linearisation, rng: np.random.Generator) -> None:
        self._tangent = tangent
        self.size, self.units = tangent.new_state.shape
        with _no_weights(network):
            self.L = self._local()
        self._start = rng.standard_normal((self.size, self.units, COLUMNS))
        self._blocks = self._irreducible()

    def _local(self) -> Array:
        """(N, S, S): derivative of each unit by its own states at fixed fields."""
        directions = np.zeros((self.size, self.units, self.size))
        for k in range(self.size):
            directions[k, :, k] = 1.0
        return self._tangent.jvp(directions).transpose(1, 0, 2)

    def _irreducible(self) -> list[Array]:
        """(S, 1, 1) masks of the sets of states that drive each other."""
        drives = np.zeros((self.size, self.size), bool)
        for k in range(self.size):
            probe = np.zeros_like(self._start[:, :, :1])
            probe[k] = self._start[k, :, :1]
            drives[:, k] = np.any(self._tangent.jvp(probe) != 0.0, axis=(1, 2))
        count, labels = connected_components(csr_matrix(drives), directed=True, connection="strong")
        return [(labels == block).astype(float)[:, None, None] for block in range(count)]

    def apply(self, lam: complex, x: Array) -> Array:
        """S(lam) x for x of shape (S, N, M)."""
        y = self._coupled(x.real) + 1j * self._coupled(x.imag) if np.iscomplexobj(x) else self._coupled(x)
        shifted = lam * np.eye(self.size) - self.L
        return np.moveaxis(np.linalg.solve(shifted, np.moveaxis(y, 0, 1)), 1, 0)

    def _coupled(self, x: Array) -> Array:
        return self._tangent.jvp(x) - np.einsum("nij,jnm->inm", self.L, x)

    def log_growth(self, lam: complex, isolated: int = 0) -> float:
        """ln of the mean-square growth per step, of the block that grows fastest."""
        lam = lam if abs(complex(lam).imag) > 0 else complex(lam).real
        return max(self._growth_in(block, lam, isolated) for block in self._blocks)

    def _growth_in(self, block: Array, lam: complex, isolated: int) -> float:
        x = block * (self._start if not isolated else self._without_isolated(block, lam, isolated))
        early = late = 0.0
        for step in range(1, LAST + 1):
            x = block * self.apply(lam, x)
            if step == FIRST:
                early = float(np.sum(np.abs(x) ** 2))
        late = float(np.sum(np.abs(x) ** 2))
        return (np.log(late) - np.log(early)) / (LAST - FIRST) if early > 0 and late > 0 else NO_GROWTH

    def _without_isolated(self, block: Array, lam: complex, count: int) -> Array:
        """Starting vectors with the components along isolated eigenvectors of a block removed."""
        shape = (self.size, self.units)
        n = self.size * self.units

        def forward(flat: Array) -> Array:
            return (block * self.apply(lam, block * flat.reshape(*shape, 1))).ravel()

        operator = LinearOperator((n, n), matvec=forward, dtype=complex if np.iscomplexobj(np.asarray(lam)) else float)
        try:
            start = (block[:, :, 0] * self._start[:, :, 0]).ravel()
            values = eigs(operator, k=count + 1, which="LM", v0=start, tol=1e-4, return_eigenvectors=False)
        except ArpackError:
            return self._start
        order = np.argsort(-np.abs(values))
        bulk = abs(values[order[-1]])
        chosen = [k for k in order[:count] if abs(values[k]) > SEPARATED * bulk]
        return self._project(block, lam, values[chosen])

    def _project(self, block: Array, lam: complex, values: Array) -> Array:
        """Apply prod (S - mu)/mu, which annihilates the isolated eigenvectors and leaves the rest nearly as it is."""
        x = self._start.astype(complex) if np.iscomplexobj(values) and np.any(values.imag) else self._start
        for mu in values:
            factor = mu if np.iscomplexobj(x) else mu.real
            x = block * (self.apply(lam, block * x) / factor - x)
        return x


def edge_on_ray(
    scattering: Scattering, base: complex, direction: complex, guess: float, size: float, isolated: int = 0
) -> float:
    """Largest t at which lam = base + t direction is inside the spectrum.

    guess : where to start looking; size : extent of the spectrum, which sets the steps; nan where no edge was found.
    """

    def growth(t: float) -> float:
        return scattering.log_growth(base + t * direction, isolated)

    low = high = guess
    inside = growth(guess) > 0
    for k in range(1, 14):
        t = guess + (0.04 * size * 1.5**k if inside else -0.04 * size * k)
        if (growth(t) > 0) != inside:
            low, high = (low, t) if inside else (t, high)
            return float(brentq(growth, low, high, xtol=1e-5 * size))
        low, high = (t, high) if inside else (low, t)
    return float("nan")


@contextmanager
def _no_weights(network: Network) -> Iterator[None]:
    """Products are zero inside; the fields in a linearisation made before keep their values."""
    kept = dict(network.weights)
    zero = np.broadcast_to(0.0, (network.N, network.N))
    network.weights.update(dict.fromkeys(kept, zero))
    try:
        yield
    finally:
        network.weights.update(kept)
