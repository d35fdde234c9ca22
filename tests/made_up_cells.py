"""Cells that are not shipped (nested products, a shared matrix, two states), and networks at states of any kind."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from derive import load
from derive.cell.orthogonal import orthogonal
from derive.cell.parameters import Settings
from derive.cell.spec import Cell
from solvers.simulate import Network

NESTED = """
name = "nested"
equations = \"\"\"
g  = sigmoid(A @ h + c)
k  = tanh(B @ (g*h))
h' = g*h/2 + (1 - g)*tanh(C @ (k + h))
\"\"\"
[weights]
A = 1.5
B = 2.0
C = 1.2
[biases]
c = { mean = 0.3, std = 0.5 }
"""

PAIR = """
equations = '''
r  = sigmoid(W_r @ c + b)
h' = a*h + (1 - a)*tanh(W_h @ (r*c'))
c' = tanh(W_c @ (h/(1 + h*h)) + W_c @ c + x)
'''
[weights]
W_r = 1.5
W_h = "g"
W_c = "g"
[biases]
b = { mean = 0.3, std = 0.5 }
[inputs]
x = { variance = "R" }
[parameters]
g = 1.0
a = 0.4
R = 0.0
"""
"""Two states, a nested product, a shared matrix, a division and a product of a new state."""

SHARED = """
name = "shared"
equations = \"\"\"
z  = sigmoid(W @ (h*h) + c)
h' = z*h + (1 - z)*tanh(W @ h)
\"\"\"
[weights]
W = 2.0
[biases]
c = { mean = 0, std = 1 }
"""

TWO_STATES = """
name = "two-states"
equations = \"\"\"
p' = sigmoid(c)*p + tanh(A @ q)/2
q' = tanh(B @ p' + C @ q + d)
\"\"\"
[weights]
A = 1.5
B = 1.2
C = 0.7
[biases]
c = { mean = 0, std = 1 }
d = { mean = 0, std = 0.5 }
"""

MADE_UP = {"nested": NESTED, "shared": SHARED, "two-states": TWO_STATES}

def cell_of(name: str, folder: Path, haar: tuple[str, ...] = ()) -> Cell:
    if name in MADE_UP:
        path = folder / f"{name}.toml"
        path.write_text(MADE_UP[name])
        return orthogonal(load(str(path)), haar)
    return orthogonal(load(name), haar)


def any_units(cell: Cell, settings: Settings, N: int, seed: int) -> tuple[Network, np.ndarray]:
    """A network at a state that knows nothing of its weights: gradient independence holds at any of them."""
    network = Network(cell, settings, N, np.random.default_rng(seed))
    return network, network.random_state(0.7)
