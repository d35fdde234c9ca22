"""Default initialisers against the frameworks themselves: real layers' weights and real steps.

Each framework is skipped where it is not installed; ``.ci/frameworks`` installs all three.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Mapping

import numpy as np
import pytest
from installed import installed

from derive.frameworks import Framework, configured, default_cell, framework, frameworks, parameters_of

torch = installed("torch")
loaded = importlib.import_module("solvers.bridge.loaded")

Array = np.ndarray
Step = Callable[[Mapping[str, Array], Array], dict[str, Array]]
H, INPUTS = 96, 40


def test_the_version_of_torch_is_the_one_that_the_table_speaks_of() -> None:
    assert framework("torch.nn.GRU").source.startswith("torch 2.13.0")
    assert torch.__version__.split("+")[0] == "2.13.0"


def torch_layer(name: str, options: Mapping[str, str], shift: float) -> tuple[dict[str, Array], Step]:
    keywords = {key: {"true": True, "false": False}.get(value, value) for key, value in options.items()}
    torch.manual_seed(3)
    layer = getattr(torch.nn, name.rpartition(".")[2])(INPUTS, H, **keywords).double()
    with torch.no_grad():
        for key, parameter in layer.named_parameters():
            if "bias" in key:
                parameter += shift * torch.randn(parameter.shape, dtype=torch.double)

    def step(states: Mapping[str, Array], x: Array) -> dict[str, Array]:
        held = {key: torch.as_tensor(value)[None, None] for key, value in states.items()}
        both = (held["h"], held["c"]) if "c" in held else held["h"]
        with torch.no_grad():
            _, new = layer(torch.as_tensor(x)[None, None], both)
        found = {"h": new[0], "c": new[1]} if "c" in held else {"h": new}
        return {key: value.reshape(-1).numpy() for key, value in found.items()}

    arrays = {key: value.detach().numpy() for key, value in layer.named_parameters()}
    return arrays, step


def keras_layer(name: str, options: Mapping[str, str], shift: float) -> tuple[dict[str, Array], Step]:
    os.environ.setdefault("KERAS_BACKEND", "torch")
    keras = installed("keras")
    keras.utils.set_random_seed(3)
    keywords = {key: {"true": True, "false": False}.get(value, value) for key, value in options.items()}
    layer = getattr(keras.layers, name.rpartition(".")[2] + "Cell")(H, dtype="float64", **keywords)
    layer.build((1, INPUTS))
    rng = np.random.default_rng(0)
    for variable in layer.weights:
        if "bias" in variable.path:
            variable.assign(keras.ops.convert_to_numpy(variable) + shift * rng.standard_normal(variable.shape))
    arrays: dict[str, Array] = {}
    for variable in layer.weights:
        key, value = variable.path.split("/")[-1], np.asarray(keras.ops.convert_to_numpy(variable))
        pair = key == "bias" and value.ndim == 2
        arrays |= {"bias[0]": value[0], "bias[1]": value[1]} if pair else {key: value}

    def step(states: Mapping[str, Array], x: Array) -> dict[str, Array]:
        order = ("h", "c")[: len(states)]
        held = [keras.ops.convert_to_tensor(states[key][None]) for key in order]
        _, new = layer(keras.ops.convert_to_tensor(x[None]), held)
        return {key: keras.ops.convert_to_numpy(value)[0] for key, value in zip(order, new, strict=True)}

    return arrays, step


def linen_layer(name: str, options: Mapping[str, str], shift: float) -> tuple[dict[str, Array], Step]:
    linen, jax = installed("flax.linen"), installed("jax")
    jax.config.update("jax_enable_x64", True)
    cell = getattr(linen, name.rpartition(".")[2])(features=H, param_dtype=np.float64)
    carry = cell.initialize_carry(jax.random.key(0), (1, INPUTS))
    tree = cell.init(jax.random.key(1), carry, np.zeros((1, INPUTS)))["params"]
    rng = np.random.default_rng(0)

    def moved(key: str, value: object) -> Array:
        array = np.asarray(value)
        return array + (shift * rng.standard_normal(array.shape) if key == "bias" else 0)

    new = {part: {key: moved(key, value) for key, value in own.items()} for part, own in tree.items()}
    arrays = {f"{part}.{key}": value for part, own in new.items() for key, value in own.items()}
    return arrays, _flax_step(lambda carry, x: cell.apply({"params": new}, carry, x)[0])


def nnx_layer(name: str, options: Mapping[str, str], shift: float) -> tuple[dict[str, Array], Step]:
    nnx, jax = installed("flax.nnx"), installed("jax")
    jax.config.update("jax_enable_x64", True)
    cell = getattr(nnx, name.rpartition(".")[2])(INPUTS, H, param_dtype=np.float64, dtype=np.float64, rngs=nnx.Rngs(0))
    rng = np.random.default_rng(0)
    arrays: dict[str, Array] = {}
    for part, own in vars(cell).items():
        for key in ("kernel", "bias"):
            parameter = getattr(own, key, None)
            if isinstance(parameter, nnx.Param) and parameter.get_value() is not None:
                value = np.asarray(parameter.get_value())
                value = value + (shift * rng.standard_normal(value.shape) if key == "bias" else 0)
                parameter.set_value(jax.numpy.asarray(value))
                arrays[f"{part}.{key}"] = value
    return arrays, _flax_step(lambda carry, x: cell(carry, x)[0])


def _flax_step(apply: Callable[[object, Array], object]) -> Step:
    def step(states: Mapping[str, Array], x: Array) -> dict[str, Array]:
        carry = (states["c"][None], states["h"][None]) if "c" in states else states["h"][None]
        new = apply(carry, x[None])
        found = {"c": new[0], "h": new[1]} if "c" in states else {"h": new}
        return {key: np.asarray(value)[0] for key, value in found.items()}

    return step


MAKERS = {"torch": torch_layer, "keras": keras_layer, "flax.linen": linen_layer, "flax.nnx": nnx_layer}


def made(name: str, options: Mapping[str, str], shift: float = 0.0) -> tuple[dict[str, Array], Step]:
    """A real layer: its tensors under the names of our table, and one step of it."""
    maker = next(maker for prefix, maker in MAKERS.items() if name.startswith(prefix + "."))
    return maker(name, options, shift)


def placed(chosen: Framework, arrays: Mapping[str, Array]) -> dict[str, Array]:
    """The matrices and biases of the cell, by the table."""
    found: dict[str, Array] = {}
    for tensor in chosen.tensors:
        array, axis = arrays[tensor.name.format(layer=0)], 0 if chosen.blocks == "rows" else -1
        for name, block in zip(tensor.holds, np.split(array, len(tensor.holds), axis=axis), strict=True):
            own = block.T if chosen.blocks == "columns" else block
            found[name] = found[name] + own if name in found else own
    return found


def variants() -> list[tuple[str, dict[str, str]]]:
    found: list[tuple[str, dict[str, str]]] = [(name, {}) for name in frameworks()]
    found += [(n, {o: v}) for n in frameworks() for o, values in framework(n).options.items() for v in values.values]
    return [*found, ("keras.layers.GRU", {"reset_after": "false", "use_bias": "false"})]


@pytest.mark.parametrize(("name", "options"), variants())
def test_the_table_names_every_tensor_of_the_layer(name: str, options: dict[str, str]) -> None:
    arrays, _ = made(name, options)
    chosen = configured(framework(name), options)
    assert {tensor.name.format(layer=0) for tensor in chosen.tensors} == set(arrays)


@pytest.mark.parametrize(("name", "options"), variants())
def test_one_step_of_the_layer_is_one_step_of_the_cell(name: str, options: dict[str, str]) -> None:
    """Gate order, the sign of the gates, where biases enter: a step with random states, inputs and biases agrees."""
    arrays, step = made(name, options, shift=0.5)
    chosen = configured(framework(name), options)
    cell = default_cell(chosen)
    rng = np.random.default_rng(7)
    x, states = rng.standard_normal(INPUTS), {state: rng.standard_normal(H) for state in cell.states}
    network = loaded.loaded_network(cell, placed(chosen, arrays), x)
    ours = network.evaluate(np.stack([states[state] for state in cell.states])).new_state
    theirs = step(states, x)
    for row, state in zip(ours, cell.states, strict=True):
        assert row == pytest.approx(theirs[state], abs=1e-6)


@pytest.mark.parametrize(("name", "options"), variants())
def test_the_weights_have_the_stated_gains_and_biases(name: str, options: dict[str, str]) -> None:
    """Independent entries: within five standard errors.  Orthogonal ones: exactly."""
    arrays, _ = made(name, options)
    chosen = configured(framework(name), options)
    cell = default_cell(chosen)
    found = placed(chosen, arrays)
    measured = loaded.measure(cell, found)
    stated = loaded.resolve(cell, parameters_of(chosen, H, INPUTS))
    for weight, gain in stated.gains.items():
        law = chosen.entries[weight]
        if law == "orthogonal":
            assert weight in measured.orthogonal
            assert measured.gains[weight].value == pytest.approx(gain, abs=1e-6)
        else:
            error = measured.gains[weight].standard_error
            assert measured.gains[weight].value == pytest.approx(gain, abs=5 * error)
            assert abs(measured.means[weight]) < 5
    for tensor in chosen.tensors:
        if tensor.entries == "orthogonal-block":
            stacked = np.concatenate([found[item] for item in tensor.holds])
            assert stacked.T @ stacked == pytest.approx(np.eye(H), abs=1e-6)
        if tensor.entries == "uniform":
            values = np.concatenate([arrays[tensor.name.format(layer=0)].ravel()])
            assert np.mean(values**4) / np.mean(values**2) ** 2 == pytest.approx(1.8, abs=0.3)
    for bias, (mean, std) in stated.biases.items():
        measured_mean, measured_std = measured.biases[bias]
        assert measured_mean.value == pytest.approx(mean, abs=5 * std / H**0.5 + 1e-12)
        assert measured_std.value == pytest.approx(std, abs=5 * measured_std.standard_error + 1e-12)
