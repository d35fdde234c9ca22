"""Default initialisers as data: complete, consistent, and what the command line makes of them; no framework needed."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from derive.cell import load, resolve
from derive.errors import ParameterError
from derive.frameworks import FrameworkError, configured, default_cell, framework, frameworks, parameters_of
from solvers.cli import main
from solvers.framework import default_of, solve_default
from solvers.simulate import Network, relax
from solvers.solve import solve


def variants() -> list[tuple[str, dict[str, str]]]:
    """Every layer with its defaults, and with every value of every option."""
    found: list[tuple[str, dict[str, str]]] = [(name, {}) for name in frameworks()]
    for name in frameworks():
        for option, values in framework(name).options.items():
            found += [(name, {option: value}) for value in values.values]
    return found


@pytest.mark.parametrize(("name", "options"), variants())
def test_every_layer_places_every_matrix_of_its_cell_once(name: str, options: dict[str, str]) -> None:
    chosen = configured(framework(name), options)
    cell = default_cell(chosen)
    held = [item for tensor in chosen.tensors for item in tensor.holds]
    assert set(held) <= set(cell.weights) | set(cell.biases)
    for weight in cell.weights:
        assert held.count(weight) == 1
    numbers = parameters_of(chosen, 300, 20)
    assert set(numbers) <= set(cell.parameters)
    settings = resolve(cell, numbers)
    for bias in set(cell.biases) - set(held):  # what a layer lacks is zero in its cell
        assert settings.biases[bias] == (0.0, 0.0)
    assert all(gain > 0 for gain in settings.gains.values())


@pytest.mark.parametrize(("name", "options"), variants())
def test_the_stated_parameters_are_those_of_the_stated_laws(name: str, options: dict[str, str]) -> None:
    """Orthogonal matrices of H rows have gain 1, and a block of k stacked ones 1/sqrt(k), whatever the layer."""
    chosen = configured(framework(name), options)
    settings = resolve(default_cell(chosen), parameters_of(chosen, 128, 32))
    for tensor in chosen.tensors:
        for item in tensor.holds:
            if tensor.entries == "orthogonal":
                assert settings.gains[item] == 1.0
            elif tensor.entries == "orthogonal-block":
                assert settings.gains[item] == pytest.approx(len(tensor.holds) ** -0.5, rel=1e-15)
            elif tensor.entries == "truncated-normal":
                assert settings.gains[item] == 1.0
            elif tensor.entries == "constant":
                assert settings.biases[item][1] == 0.0


def test_the_numbers_of_torch_at_512_units() -> None:
    found = parameters_of(framework("torch.nn.GRU"), 512, 64)
    third = 1 / math.sqrt(3)
    assert [found[f"sigma_{gate}"] for gate in "zrh"] == pytest.approx([third] * 3)
    assert [found[f"nu_{gate}"] for gate in "zrh"] == pytest.approx([math.sqrt(64 / 1536)] * 3)
    assert [found["rho_z"], found["rho_r"]] == pytest.approx([math.sqrt(2 / 1536)] * 2)
    assert [found["rho_h"], found["rho_c"]] == pytest.approx([math.sqrt(1 / 1536)] * 2)


def test_uniform_entries_and_two_biases_have_the_stated_moments() -> None:
    """What torch draws, drawn here: gains and stds of the data within five standard errors."""
    H, inputs = 200, 50
    rng = np.random.default_rng(0)
    numbers = parameters_of(framework("torch.nn.RNN"), H, inputs)
    bound = H**-0.5
    for parameter, columns in (("sigma_w", H), ("sigma_v", inputs)):
        entries = rng.uniform(-bound, bound, (H, columns))
        gain = math.sqrt(columns * np.mean(entries**2))
        assert gain == pytest.approx(numbers[parameter], rel=5 * math.sqrt(0.8 / (4 * entries.size)))
    total = rng.uniform(-bound, bound, (2, 100_000)).sum(axis=0)
    assert total.std() == pytest.approx(numbers["sigma_b"], rel=5 / math.sqrt(2 * 100_000))


@pytest.mark.parametrize("entries", ["orthogonal", "orthogonal-block"])
def test_orthogonal_weights_share_the_mean_field_and_the_edge_of_independent_entries(entries: str) -> None:
    """Eight networks of 200 units at a nonzero fixed point; means within four standard errors of independent entries.

    The edge is judged by the largest imaginary part, which no tail on the real axis blurs.
    """
    cell = load("gru-reset-after")
    matrices = ("W_z", "W_r", "W_h")
    parameters = {f"sigma_{name[2:]}": 1.5 for name in matrices} | {"nu_z": 1, "nu_r": 1, "nu_h": 1, "R": 1.0}
    rng = np.random.default_rng(5)
    N, rows = 200, []
    for seed in range(8):
        pair = []
        for law in ("independent", entries):
            network = Network(cell, resolve(cell, parameters), N, np.random.default_rng(seed))
            if law != "independent":
                count = 1 if law == "orthogonal" else len(matrices)
                for k, name in enumerate(matrices):
                    if k == 0 or law == "orthogonal":
                        stacked = np.linalg.qr(rng.standard_normal((count * N, N)))[0] * math.sqrt(count)
                    part = 0 if law == "orthogonal" else k
                    network.weights[name] = 1.5 * stacked[part * N : (part + 1) * N]
            found = relax(network, network.random_state(0.5))
            assert found.converged
            spectrum = np.linalg.eigvals(network.jacobian(found.state))
            pair.append((found.Q["h"], np.max(spectrum.imag), np.min(spectrum.real)))
        rows.append(np.subtract(*pair))
    z = np.mean(rows, axis=0) / (np.std(rows, axis=0, ddof=1) / math.sqrt(len(rows)))
    assert np.all(np.abs(z) < 4.0), z


def test_json_of_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["framework", "torch.nn.GRU", "--hidden", "512", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["framework"], found["cell"]) == ("torch.nn.GRU", "gru-reset-after")
    assert found["parameters"]["sigma_h"] == pytest.approx(3**-0.5)
    (solution,) = found["solutions"]
    same = solve(load("gru-reset-after"), found["parameters"]).solutions[0]
    assert solution["spectral_radius"] == same["spectral_radius"]
    assert solution["stable"]
    assert solution["verdict"] == "converged"


def test_the_same_layer_untied_with_inputs(capsys: pytest.CaptureFixture[str]) -> None:
    command = ["framework", "torch.nn.RNN", "--hidden", "512", "--input", "64", "-p", "R=1", "--ansatz", "untied"]
    assert main([*command, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    (solution,) = found["solutions"]
    assert solution["q"]["U_x"] == pytest.approx(64 / (3 * 512))
    assert 0 < solution["chi1"] < 1 / 3


def test_keras_with_reset_before_the_product(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["framework", "keras.layers.GRU", "--hidden", "90", "--option", "reset_after=false", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["cell"] == "gru"
    assert found["parameters"]["sigma_r"] == pytest.approx(3**-0.5)
    (solution,) = found["solutions"]
    # Zero state: 1/2 on the diagonal, and half of W_h diag(1/2): a disk of radius 3^-0.5/4 about 1/2.
    assert solution["spectral_radius"] == pytest.approx(0.5 + 3**-0.5 / 4, rel=1e-9)


def test_forget_bias_of_keras_and_its_option() -> None:
    assert parameters_of(framework("keras.layers.LSTM"), 10)["mu_f"] == 1.0
    for option in ("unit_forget_bias", "use_bias"):
        assert parameters_of(configured(framework("keras.layers.LSTM"), {option: "false"}), 10)["mu_f"] == 0.0


def test_options_combine_in_either_order() -> None:
    first, second = {"use_bias": "false", "reset_after": "false"}, {"reset_after": "false", "use_bias": "false"}
    chosen = framework("keras.layers.GRU")
    assert configured(chosen, first) == configured(chosen, second)
    assert {tensor.name for tensor in configured(chosen, first).tensors} == {"kernel", "recurrent_kernel"}


def test_relu_is_put_into_the_cell() -> None:
    default = default_of("torch.nn.RNN", 100, options={"nonlinearity": "relu", "bias": "false"})
    solved = solve_default(default)
    # tanh and relu part at any gain: the zero state of relu has half the slope, E[phi'^2] = 1/2.
    assert solved.solutions[0]["spectral_radius"] == pytest.approx(math.sqrt(1 / 6), rel=1e-9)


def test_the_list_names_every_layer(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["framework"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(frameworks())
    assert len(frameworks()) == 14


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["torch.nn.gru", "--hidden", "8"], "Did you mean `torch.nn.GRU`?"),
        (["torch.nn.GRU"], "gatefield framework torch.nn.GRU --hidden 512"),
        (["torch.nn.GRU", "--hidden", "0"], "--hidden"),
        (["torch.nn.GRU", "--hidden", "8", "--option", "bidirectional=true"], "bidirectional=true is not supported"),
        (["torch.nn.LSTM", "--hidden", "8", "--option", "proj_size=4"], "proj_size=4 is not supported"),
        (["torch.nn.RNN", "--hidden", "8", "--option", "num_layers=2"], "--input H and -p R=Q[h]"),
        (["keras.layers.GRU", "--hidden", "8", "--option", "dropout=0.5"], "dropout=0.5 is not supported"),
        (["flax.nnx.SimpleCell", "--hidden", "8", "--option", "residual=true"], "residual=true is not supported"),
        (["torch.nn.GRU", "--hidden", "8", "--option", "bais=false"], "Did you mean `bias`?"),
        (["torch.nn.RNN", "--hidden", "8", "--option", "nonlinearity=gelu"], "nonlinearity=tanh or relu"),
        (["torch.nn.GRU", "--hidden", "8", "--option", "bias"], "NAME=VALUE"),
        (["torch.nn.GRU", "--hidden", "8", "--option", "bias=true", "--option", "bias=false"], "twice"),
        (["torch.nn.GRU", "--hidden", "8", "-p", "sigma_h=2"], "`sigma_h` is decided by the initialiser"),
        (["torch.nn.GRU", "--hidden", "8", "-p", "R=1"], "Give their number, --input 64"),
        (["torch.nn.GRU", "--hidden", "8", "-p", "Q=1"], "`Q` is not a parameter"),
    ],
)
def test_bad_input_is_refused(arguments: list[str], part: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["framework", *arguments]) == 2
    captured = capsys.readouterr()
    assert part in captured.err
    assert not captured.out


@pytest.mark.parametrize("value", ["false", "False", "0"])
def test_an_unsupported_option_at_its_neutral_value_is_none(value: str) -> None:
    name = "num_layers" if value == "0" else "bidirectional"
    chosen = framework("torch.nn.GRU")
    assert configured(chosen, {name: "1" if value == "0" else value, "batch_first": "true"}) == chosen


def test_sizes_below_one_are_refused() -> None:
    with pytest.raises(FrameworkError, match="input size"):
        parameters_of(framework("torch.nn.GRU"), 8, 0)
    with pytest.raises(ParameterError, match="variance"):
        default_of("torch.nn.GRU", 8, parameters={"R": 1.0})


def test_few_inputs_are_pointed_out() -> None:
    few = default_of("torch.nn.GRU", 64, 4, parameters={"R": 1.0})
    assert any("excess kurtosis -0.9" in note for note in few.notes)
    many = default_of("torch.nn.GRU", 64, 64, parameters={"R": 1.0})
    assert not any("kurtosis" in note for note in many.notes)
