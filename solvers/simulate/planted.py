"""A finite network with a given fixed point, stable or not.

No search finds most unstable solutions of a large network: Newton's method from a mean-field draw ends in a local
minimum of the residual.  What the static theory speaks of is the law of W under the condition W v = u, and for
Gaussian W that law can be drawn exactly: keep W on the complement of v and put u on v.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from derive.errors import AnsatzError
from solvers.simulate.elementwise import Array
from solvers.simulate.fixed_point import FixedPoint, newton_from
from solvers.simulate.network import Network


def plant(network: Network, sites: Mapping[str, Array], *, tolerance: float = 1e-10) -> FixedPoint:
    """Condition the weights of a network on W v = u at given units, and return the fixed point there.

    sites has an (N,) column for every state and field, and for those biases and inputs that shall be replaced, by
    name: N draws from a site measure, with the states solving the cell's equations at these fields.  The weights of
    the network change by a matrix of rank one per product; Newton then removes what error the columns have, and the
    result's ``displacement`` tells how much that was.

    What this does not test: that such a solution exists in a typical network, and the weight |det(1 - J)| that it
    would have there; both are differences of order one in a number of solutions that is exponential in N.

    Raises
    ------
    KeyError : a column is missing
    AnsatzError : a weight of a field is not Gaussian, so that its conditional law is another
    """
    for name in network.weight_of.values():
        if network.settings.ensembles[name] != "gaussian":
            raise AnsatzError(f"weight {name}: only Gaussian matrices can be conditioned on W v = u")
    for drawn in (network.biases, network.inputs):
        drawn.update({name: np.asarray(sites[name], dtype=float) for name in drawn if name in sites})
    state = np.stack([np.asarray(sites[name], dtype=float) for name in network.states])
    operands = network.operands_given(state, sites)
    for weight in dict.fromkeys(network.weight_of.values()):
        fields = [name for name in network.fields if network.weight_of[name] == weight]
        v = np.stack([operands[name] for name in fields], axis=1)
        u = np.stack([np.asarray(sites[name], dtype=float) for name in fields], axis=1)
        network.weights[weight] += (u - network.weights[weight] @ v) @ np.linalg.pinv(v)
    return newton_from(network, state, tolerance=tolerance)
