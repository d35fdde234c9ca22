"""Real torch layers: read, drawn, turned into networks whose steps, Jacobians and spectra are the layer's.

Skipped where torch is missing; ``.ci/frameworks`` installs it.
"""

from __future__ import annotations

import importlib
import math
from typing import Any

import numpy as np
import pytest
from installed import installed

from derive.errors import ParameterError
from derive.frameworks import FrameworkError
from solvers import solve
from solvers.simulate import eigenvalues, relax
from solvers.spectra import spectra

torch = installed("torch")
bridge = importlib.import_module("solvers.bridge")

LAYERS: list[tuple[str, dict[str, Any]]] = [
    ("GRU", {}),
    ("GRU", {"bias": False}),
    ("LSTM", {}),
    ("RNN", {}),
    ("RNN", {"nonlinearity": "relu"}),
]


def made(kind: str, inputs: int, hidden: int, **options: Any) -> Any:
    torch.manual_seed(1)
    return getattr(torch.nn, kind)(inputs, hidden, **options)


def flat_step(module: Any, states: tuple[str, ...], x: Any, layer: int = 0) -> Any:
    """States of one layer (S*H,) to the new ones, in the order of ``states``, by torch."""
    H = module.hidden_size

    def step(flat: Any) -> Any:
        held = dict(zip(states, flat.reshape(len(states), H), strict=True))
        if "c" not in held:
            return module(x[None, None], held["h"][None, None])[1].reshape(-1)
        _, (h, c) = module(x[None, None], (held["h"][None, None], held["c"][None, None]))
        new = {"h": h.reshape(-1), "c": c.reshape(-1)}
        return torch.cat([new[state] for state in states])

    return step


@pytest.mark.parametrize(("kind", "options"), LAYERS)
@pytest.mark.parametrize("inputs", [3, 50])
def test_step_and_jacobian_are_torchs(kind: str, options: dict[str, Any], inputs: int) -> None:
    module = made(kind, inputs, 24, **options)
    x = torch.randn(inputs)
    network = bridge.network_of(module, inputs=x.numpy())
    state = network.random_state()
    step = flat_step(module, network.states, x)
    flat = torch.as_tensor(state.reshape(-1), dtype=torch.float32)
    assert network.evaluate(state).new_state.reshape(-1) == pytest.approx(step(flat).detach().numpy(), abs=1e-6)
    module, x, flat = module.double(), x.double(), torch.as_tensor(state.reshape(-1))
    network = bridge.network_of(module, inputs=x.numpy())
    theirs = torch.autograd.functional.jacobian(flat_step(module, network.states, x), flat).numpy()
    assert np.max(np.abs(network.jacobian(state) - theirs)) < 1e-13


def test_a_layer_above_the_first() -> None:
    module = made("GRU", 5, 16, num_layers=2).double()
    network = bridge.network_of(module, 1, inputs=np.arange(16) / 16)
    single = torch.nn.GRU(16, 16).double()
    upper = {key: value for key, value in module.state_dict().items() if "_l1" in key}
    single.load_state_dict({key.replace("_l1", "_l0"): value for key, value in upper.items()})
    state = network.random_state()
    theirs = flat_step(single, ("h",), torch.arange(16).double() / 16)(torch.as_tensor(state.reshape(-1)))
    assert network.evaluate(state).new_state[0] == pytest.approx(theirs.detach().numpy(), abs=1e-13)


def test_a_module_of_ones_own_that_is_a_layer() -> None:
    class Own(torch.nn.LSTM):
        pass

    assert bridge.measured_gains(Own(4, 8)).cell.name == "lstm"


@pytest.mark.parametrize(("kind", "options"), LAYERS)
def test_what_is_drawn_is_measured(kind: str, options: dict[str, Any]) -> None:
    """Gains and biases within five standard errors of those asked for, orthogonal matrices exact."""
    module = made(kind, 40, 160, **options)
    cell = bridge.measured_gains(module).cell
    recurrent, drive = [name for name in cell.weights if name[0] == "W"], [n for n in cell.weights if n[0] == "U"]
    scheme = {node.name: 0.7 + 0.4 * k for k, node in enumerate(cell.weights[name].gain for name in recurrent)}
    scheme |= {cell.weights[drive[0]].gain.name: 0.9}
    if options.get("bias", True):
        first = next(iter(cell.biases.values()))
        scheme |= {first.mean.name: -1.5, first.std.name: 0.6}
    else:
        scheme |= {bias.std.name: 0.0 for bias in cell.biases.values()}
    held = bridge.init_(module, scheme, orthogonal=recurrent[:1], seed=4)
    measured = bridge.measured_gains(module)
    assert measured.orthogonal == (recurrent[0],)
    assert scheme.items() <= held.items()
    for name, value in measured.parameters.items():
        error = {weight.gain.name: measured.gains[key].standard_error for key, weight in cell.weights.items()}
        error |= {bias.mean.name: measured.biases[key][0].standard_error for key, bias in cell.biases.items()}
        error |= {bias.std.name: measured.biases[key][1].standard_error for key, bias in cell.biases.items()}
        assert value == pytest.approx(held[name], abs=5 * error[name] + 1e-7), name


def test_what_is_not_named_keeps_the_default() -> None:
    module = made("GRU", 32, 128)
    held = bridge.init_(module, {"sigma_h": 2.0})
    assert held["sigma_z"] == pytest.approx(3**-0.5)
    assert held["nu_h"] == pytest.approx(math.sqrt(32 / (3 * 128)))
    assert held["rho_z"] == pytest.approx(math.sqrt(2 / (3 * 128)))


def test_the_seed_is_torchs_unless_given() -> None:
    drawn = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        module = torch.nn.RNN(4, 8)
        bridge.init_(module, {"sigma_w": 1.0})
        drawn.append(module.weight_hh_l0.detach().clone())
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


def test_drawing_is_in_place_and_keeps_training_possible() -> None:
    module = made("LSTM", 4, 8)
    parameters = list(module.parameters())
    bridge.init_(module, {"mu_f": 3.0})
    assert all(before is after for before, after in zip(parameters, module.parameters(), strict=True))
    assert all(parameter.requires_grad for parameter in module.parameters())
    module(torch.randn(5, 1, 4))[0].sum().backward()


@pytest.mark.parametrize(
    ("kind", "scheme"),
    [
        ("GRU", {}),
        ("GRU", {"sigma_h": 1.5, "rho_z": 0.0}),
        ("LSTM", {"mu_f": 1.0, "sigma_g": 0.9, "rho_f": 0.0, "rho_i": 0.0, "rho_o": 0.0, "rho_g": 0.0}),
        ("RNN", {}),
    ],
)
def test_spectra_of_real_layers_agree_with_the_theory(kind: str, scheme: dict[str, float]) -> None:
    """Five layers of 256 units at their fixed points: the height of the spectrum over the real axis, against theory.

    Of N eigenvalues spread evenly over a disk of radius 1, one lies above the height 1 - d with N d^(3/2) 4 sqrt(2) =
    3 pi.  So far a network's height may be off; twice that, relatively, and four standard errors are allowed.
    """
    heights, N = [], 256
    for seed in range(5):
        torch.manual_seed(seed)
        module = getattr(torch.nn, kind)(16, N)
        held = bridge.init_(module, scheme) if scheme else {}
        network = bridge.network_of(module)
        found = relax(network, 0.1 * network.random_state())
        assert found.converged
        heights.append(eigenvalues(network.jacobian(found.state)).imag.max())
    parameters = held or bridge.measured_gains(module).parameters
    theory = spectra(network.cell, parameters)
    height = max(point.imag for curve in theory.spectra[0].boundary for point in curve)
    finite_size = 2.0 * (3.0 * math.pi / (4.0 * math.sqrt(2.0) * N)) ** (2 / 3)
    error = np.std(heights, ddof=1) / math.sqrt(len(heights))
    assert abs(np.mean(heights) - height) < 4.0 * error + finite_size * height


def test_a_trained_layer_is_read_as_well() -> None:
    """Gains of weights that are no draw: a mean far from zero is reported, in standard errors."""
    module = made("RNN", 4, 50)
    with torch.no_grad():
        module.weight_hh_l0 += 0.05
    measured = bridge.measured_gains(module)
    assert measured.means["W_h"] > 20
    assert abs(measured.means["U_x"]) < 5
    assert solve(measured.cell, measured.parameters).converged


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"bidirectional": True}, "bidirectional=true is not supported"),
        ({"proj_size": 3}, "proj_size=3 is not supported"),
    ],
)
def test_unsupported_options_are_refused_by_name(options: dict[str, Any], part: str) -> None:
    module = made("LSTM", 4, 8, **options)
    for attempt in (bridge.measured_gains, bridge.network_of, lambda m: bridge.init_(m, {"mu_f": 1.0})):
        with pytest.raises(FrameworkError, match=part):
            attempt(module)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_weights_that_are_not_numbers_are_refused(value: float) -> None:
    module = made("GRU", 4, 8)
    with torch.no_grad():
        module.weight_hh_l0[3, 2] = value
    for attempt in (bridge.measured_gains, bridge.network_of):
        with pytest.raises(bridge.BridgeError, match="weight_hh_l0 holds 1 entries that are not finite"):
            attempt(module)
    bridge.init_(module, {"sigma_h": 1.0})  # drawn anew they are numbers again
    assert bridge.measured_gains(module).gains["W_h"].value > 0


def test_bad_requests_are_refused_before_anything_is_written() -> None:
    module = made("GRU", 4, 8, num_layers=2)
    before = module.weight_hh_l0.detach().clone()
    for scheme, kind, part in (
        ({"sigma": 1.0}, ParameterError, "`sigma` is not a parameter of gru-reset-after"),
        ({"sigma_h": -1.0}, ParameterError, "negative"),
        ({"sigma_h": math.nan}, ParameterError, "finite"),
    ):
        with pytest.raises(kind, match=part):
            bridge.init_(module, scheme)
    with pytest.raises(bridge.BridgeError, match="`U_h` cannot be orthogonal"):
        bridge.init_(module, {}, orthogonal=["U_h"])
    with pytest.raises(bridge.BridgeError, match="layers 0 to 1"):
        bridge.init_(module, {}, layer=2)
    with pytest.raises(bridge.BridgeError, match="no biases"):
        bridge.init_(made("LSTM", 4, 8, bias=False), {"mu_f": 1.0})
    with pytest.raises(bridge.BridgeError, match="Linear is not a layer"):
        bridge.measured_gains(torch.nn.Linear(4, 4))
    with pytest.raises(bridge.BridgeError, match="inputs are 4 finite numbers"):
        bridge.network_of(module, inputs=np.ones(5))
    assert torch.equal(module.weight_hh_l0, before)


def test_critical_and_isometric_initialisations() -> None:
    module = made("GRU", 8, 64)
    quiet = {"rho_z": 0.0, "rho_r": 0.0, "rho_h": 0.0, "rho_c": 0.0}
    held = bridge.init_(module, "critical", free="sigma_h", parameters=quiet)
    # The zero state: gates at 1/2, so chi1 = 1/4 + sigma_h^2/16.
    assert held["sigma_h"] == pytest.approx(math.sqrt(12.0), rel=1e-9)
    assert held["sigma_z"] == pytest.approx(3**-0.5)
    gain = bridge.measured_gains(module).gains["W_h"]
    assert gain.value == pytest.approx(math.sqrt(12.0), abs=5 * gain.standard_error)
    found = solve(bridge.measured_gains(module).cell, held, ansatz="untied").solutions[0]
    assert found["chi1"] == pytest.approx(1.0, abs=1e-8)


def test_isometric_and_orthogonal() -> None:
    module = made("RNN", 8, 64)
    held = bridge.init_(module, "isometric", free="sigma_w", parameters={"sigma_b": 0.0}, orthogonal=["W_h"])
    assert held["sigma_w"] == pytest.approx(1.0, rel=1e-9)
    jacobian = bridge.network_of(module).jacobian(np.zeros((1, 64)))
    assert np.linalg.svd(jacobian, compute_uv=False) == pytest.approx(np.ones(64), abs=1e-6)


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ({"scheme": "critcal"}, "`critcal` is no scheme"),
        ({"scheme": "critical"}, "needs a parameter to find"),
        ({"scheme": {"sigma_w": 1.0}, "free": "sigma_b"}, "belong to"),
        ({"scheme": "critical", "free": "sigma_w", "ranges": {"sigma_w": (0.1, 0.5)}}, "no zero state or attracting"),
    ],
)
def test_schemes_that_cannot_be(arguments: dict[str, Any], part: str) -> None:
    module = made("RNN", 8, 16)
    before = module.weight_hh_l0.detach().clone()
    with pytest.raises(bridge.BridgeError, match=part):
        bridge.init_(module, **arguments)
    assert torch.equal(module.weight_hh_l0, before)
