"""A finite network with a given fixed point, stable or not.

No search finds most unstable solutions of a large network: Newton's method from a mean-field draw ends in a local
minimum of the residual.  What the static theory speaks of is the law of W under the condition W v = u, and for
Gaussian W that law can be drawn exactly: keep W on the complement of v and put u on v.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from solvers.simulate.elementwise import Array
from solvers.simulate.fixed_point import FixedPoint, newton_from
from solvers.simulate.network import Network

RANK = 1e-12
"""Relative size below which a direction of v counts as none."""


def plant(network: Network, sites: Mapping[str, Array], *, tolerance: float = 1e-10) -> FixedPoint:
    """Condition the weights of a network on W v = u at given units, and return the fixed point there.

    sites has an (N,) column for every state and field, and for those biases and inputs that shall be replaced, by
    name: N draws from a site measure, with the states solving the cell's equations at these fields.  The weights of
    the network change by a matrix of rank one per product (orthogonal ones by a reflection); Newton then removes what
    error the columns have, and the result's ``displacement`` tells how much that was.  For orthogonal weights it is
    O(1/sqrt N), for these cannot take any v to any u, and near a fold Newton may find nothing.

    What this does not test: that such a solution exists in a typical network, and the weight |det(1 - J)| that it
    would have there; both are differences of order one in a number of solutions that is exponential in N.

    Raises
    ------
    KeyError : a column is missing
    """
    for drawn in (network.biases, network.inputs):
        drawn.update({name: np.asarray(sites[name], dtype=float) for name in drawn if name in sites})
    state = np.stack([np.asarray(sites[name], dtype=float) for name in network.states])
    operands = network.operands_given(state, sites)
    for weight in dict.fromkeys(network.weight_of.values()):
        fields = [name for name in network.fields if network.weight_of[name] == weight]
        v = np.stack([operands[name] for name in fields], axis=1)
        u = np.stack([np.asarray(sites[name], dtype=float) for name in fields], axis=1)
        if network.settings.ensembles[weight] == "gaussian":
            network.weights[weight] += (u - network.weights[weight] @ v) @ np.linalg.pinv(v)
        elif gain := network.settings.gains[weight]:
            network.weights[weight] = gain * _rotated(network.weights[weight] / gain, v, u / gain)
    return newton_from(network, state, tolerance=tolerance)


def _rotated(orthogonal: Array, v: Array, u: Array) -> Array:
    """An orthogonal matrix (N, N) followed by reflections, so that it takes v (N, k) to u as nearly as any does.

    A reflection that depends on the images of v alone leaves the law of what remains on their complement uniform.
    """
    basis, sizes, mix = np.linalg.svd(v, full_matrices=False)
    kept = sizes > RANK * sizes.max(initial=0.0)
    basis, sizes, mix = basis[:, kept], sizes[kept], mix[kept]
    left, _, right = np.linalg.svd(u @ mix.T / sizes, full_matrices=False)
    wanted, image, found = left @ right, orthogonal @ basis, orthogonal
    for k in range(wanted.shape[1]):
        normal = image[:, k] - wanted[:, k]  # orthogonal to the images that are in place
        if (size := float(normal @ normal)) > 0.0:
            found = found - np.outer(normal, 2.0 / size * (normal @ found))
            image = image - np.outer(normal, 2.0 / size * (normal @ image))
    return found
