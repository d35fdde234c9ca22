"""Between cells and real recurrent layers of torch: the only place that imports torch.

    measured = measured_gains(module)                  # gains and biases of a layer, with standard errors
    init_(module, {"sigma_h": 3.0, "mu_z": 1.0})       # draw the weights of a cell's parameters, in place
    init_(module, "critical", free="sigma_h")          # the value of one parameter at which chi1 = 1
    network = network_of(module, inputs=x)             # the finite network with exactly these weights

Where each matrix stands in a layer is data (``derive.frameworks``).
"""

from solvers.bridge.initialise import init_
from solvers.bridge.layer import BridgeError, matrices_of
from solvers.bridge.loaded import network_of
from solvers.bridge.measured import Estimated, Measured, measured_gains

__all__ = ["BridgeError", "Estimated", "Measured", "init_", "matrices_of", "measured_gains", "network_of"]
