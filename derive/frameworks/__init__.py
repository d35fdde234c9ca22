"""Default initialisers of deep-learning frameworks, as data: which cell, which gains and biases, and which tensor.

Reading them needs no framework.  One TOML file an initialiser; ``framework(name)`` reads it, ``configured`` applies
options of the layer, ``parameters_of`` puts in the sizes.
"""

from derive.frameworks.read import framework, frameworks
from derive.frameworks.spec import Framework, FrameworkError, Tensor, configured, default_cell, parameters_of

__all__ = [
    "Framework",
    "FrameworkError",
    "Tensor",
    "configured",
    "default_cell",
    "framework",
    "frameworks",
    "parameters_of",
]
