"""Reading cell files: what is accepted and what it becomes."""

from __future__ import annotations

import math
import tomllib
from fractions import Fraction
from pathlib import Path

import pytest

from derive.cell import Cell, CellError, load, parse_cell, resolve, shipped, shipped_text
from derive.cell.arithmetic import text_of
from derive.cell.expression import Binary, Call, Name, Negate, Next, Number, Product, Span, walk
from derive.cell.functions import BUILTIN_FUNCTIONS
from derive.cell.grammar import parse_expression
from derive.cell.places import find_places
from derive.cell.source import Passage, Source

SHIPPED = ("gated-rnn", "gru", "gru-reset-after", "lstm", "minimal-rnn", "rate", "vanilla")


def parse(text: str) -> object:
    passage = Passage(Source("<text>", text), text, tuple(range(len(text) + 1)))
    return parse_expression(passage)


def cell(equations: str, tables: str = "[weights]\nW = 1\nV = 2\n") -> Cell:
    return parse_cell(f"equations = '''\n{equations}\n'''\n{tables}")


def test_shipped_names() -> None:
    assert shipped() == SHIPPED


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_cell(name: str) -> None:
    one = load(name)
    assert one.name == name
    assert one.title
    assert one.source
    assert one == parse_cell(shipped_text(name), one.path)
    assert one == parse_cell(one.text, one.path)
    assert all(default is not None for default in one.parameters.values())
    symbols = {*one.states, *one.definitions, *one.weights, *one.biases, *one.inputs, *one.functions, *one.parameters}
    assert set(one.latex) == symbols
    resolve(one)


def test_shipped_cells_as_specified() -> None:
    assert [load(name).states for name in SHIPPED] == [
        ("h", "z", "r"),
        ("h",),
        ("h",),
        ("c", "h"),
        ("h",),
        ("x",),
        ("h",),
    ]
    assert {name for name in SHIPPED if load(name).time == "continuous"} == {"rate", "gated-rnn"}
    minimal = resolve(load("minimal-rnn"))
    assert minimal.parameters == {"sigma_w": 1, "sigma_v": 1, "mu_b": 0, "sigma_b": 0, "R": 1, "Sigma": 0}
    assert resolve(load("vanilla")).gains == {"W_h": 1, "U_x": 0}
    after = load("gru-reset-after")
    assert text_of(after.definitions["y"].right) == "tanh(U_h @ x + b_h + r*(W_h @ h + c_h))"
    assert text_of(load("lstm").updates["h"].right) == "o*tanh(c')"
    gated = load("gated-rnn")
    assert gated.updates["z"].time_constant == Name("tau_z")
    assert text_of(gated.updates["h"].right) == "gate_z*(-h + J_h @ (phi(h)*gate_r))"


def test_load_by_path_and_name_from_the_file(tmp_path: Path) -> None:
    file = tmp_path / "my-cell.toml"
    file.write_text('\ufeffequations = "h\' = tanh(W @ h)"\r\n[weights]\r\nW = 2\r\n', encoding="utf-8")
    one = load(file)
    assert (one.name, one.path) == ("my-cell", str(file))
    assert load(str(file)) == one
    assert cell("h' = h").name == "cell"


def test_minimal_file_needs_equations_only() -> None:
    one = parse_cell('equations = "h\' = h/2"')
    assert (one.states, one.weights, one.parameters, one.title) == (("h",), {}, {}, "")


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("W @ r*h", Binary("*", Product("W", Name("r")), Name("h"))),
        ("W @ (r*h)", Product("W", Binary("*", Name("r"), Name("h")))),
        ("a*(W @ h)", Binary("*", Name("a"), Product("W", Name("h")))),
        ("W @ -h", Product("W", Negate(Name("h")))),
        ("+W @ +h", Product("W", Name("h"))),
        ("(W) @ c'", Product("W", Next("c"))),
        ("W @ tanh(V @ h)", Product("W", Call("tanh", Product("V", Name("h"))))),
        ("-h**2", Negate(Binary("**", Name("h"), Number(Fraction(2))))),
        ("h**-2", Binary("**", Name("h"), Negate(Number(Fraction(2))))),
        ("2**3**2", Binary("**", Number(Fraction(2)), Binary("**", Number(Fraction(3)), Number(Fraction(2))))),
        ("a - b - c", Binary("-", Binary("-", Name("a"), Name("b")), Name("c"))),
        ("a/b*c", Binary("*", Binary("/", Name("a"), Name("b")), Name("c"))),
        ("((a))", Name("a")),
        ("+-+a", Negate(Name("a"))),
        ("0.1", Number(Fraction(1, 10))),
        (".5", Number(Fraction(1, 2))),
        ("1.", Number(Fraction(1))),
        ("1e-3", Number(Fraction(1, 1000))),
        ("12345678901234567890.5", Number(Fraction("12345678901234567890.5"))),
        ("tanh (h')", Call("tanh", Next("h"))),
        ("\u210f", Name("ħ")),
        ("print", Name("print")),
        ("__import__", Name("__import__")),
    ],
)
def test_grammar(text: str, tree: object) -> None:
    assert parse(text) == tree


def test_nested_product_in_braces_of_several_lines() -> None:
    one = cell("h' = tanh (  # opens (\n  W @ (h   # the field\n       * h)\n\n)\nz = 1  # ' ( @")
    assert one.updates["h"].right == Call("tanh", Product("W", Binary("*", Name("h"), Name("h"))))
    assert one.updates["h"].text == "h' = tanh ( W @ (h * h) )"


def test_spans_point_into_the_file() -> None:
    one = cell("h' = tanh(c' + W @ h)\nc' = h")
    spans = {type(node).__name__: node.span for node in walk(one.updates["h"].right)}
    assert spans["Call"] == Span(2, 6, 16)
    assert spans["Next"] == Span(2, 11, 2)
    assert spans["Product"] == Span(2, 16, 5)
    assert one.updates["c"].span == Span(3, 1, 2)


@pytest.mark.parametrize(
    ("left", "constant"),
    [
        ("dz/dt", None),
        ("d z/dt", "refused"),
        ("tau*dz/dt", "tau"),
        ("tau * dz / dt", "tau"),
        ("(2*tau)*dz/dt", "2*tau"),
        ("2*tau*dz/dt", "2*tau"),
        ("tau/2*dz/dt", "tau/2"),
        ("-tau*dz/dt", "-tau"),
        ("(1 + exp(z))*dz/dt", "1 + exp(z)"),
        ("tau**-2*dz/dt", "tau**-2"),
    ],
)
def test_left_sides_in_continuous_time(left: str, constant: str | None) -> None:
    text = f"{left} = -z + W @ tanh(z)"
    tables = "[weights]\nW = 1\n[parameters]\ntau = 2\n"
    if constant == "refused":
        with pytest.raises(CellError):
            cell(text, tables)
        return
    flow = cell(text, tables).updates["z"]
    assert flow.kind == "flow"
    assert (None if flow.time_constant is None else text_of(flow.time_constant)) == constant


def test_dt_is_an_ordinary_name_elsewhere() -> None:
    one = cell("h' = h + dt*(-h + W @ tanh(h))", "[weights]\nW = 1\n[parameters]\ndt = 0.1\n")
    assert one.parameters == {"dt": 0.1}
    assert cell("dt = h\nh' = dt/dt").definitions["dt"].right == Name("h")
    assert cell("dh' = dh/2").states == ("dh",)


def test_states_in_the_order_of_their_updates() -> None:
    assert cell("z = b\nb' = a\na' = z").states == ("b", "a")


def test_definitions_in_any_order_and_new_values_in_products() -> None:
    one = cell("h' = o*tanh(W @ c')\no = z + V @ h\nz = h*c\nc' = tanh(z)")
    assert list(one.definitions) == ["o", "z"]
    assert one.updates["h"].right == Binary("*", Name("o"), Call("tanh", Product("W", Next("c"))))


def test_the_argument_of_a_function_hides_a_name_of_the_cell() -> None:
    one = cell(
        "dx/dt = -x + W @ f(x)",
        "[weights]\nW = 1\n[functions]\nf = 'g(a*x)**2'\ng = 'tanh(x)'\n[parameters]\na = 3\nunused = 'required'\n",
    )
    assert one.functions["f"] == Binary("**", Call("g", Binary("*", Name("a"), Name("x"))), Number(Fraction(2)))
    assert one.parameters == {"a": 3.0, "unused": None}
    assert cell("h' = tanh(x + h)", "[inputs]\nx = 'R'\n[parameters]\nR = 1\n").inputs["x"].variance == Name("R")


def test_every_builtin_function_is_known() -> None:
    for function in BUILTIN_FUNCTIONS:
        assert cell(f"h' = {function}(h)").updates["h"].right == Call(function, Name("h"))


def test_forms_of_declarations() -> None:
    one = cell(
        "h' = tanh(W @ h + V @ h + U @ x + a + b + c + d)\n",
        """
[weights]
W = 0.1
V = "sqrt(s)/2"
U.gain = "s"
U.ensemble = "haar"
[biases]
a = "m"
b = 0.5
c = { std = "s" }
d = { mean = -1, std = 2 }
[inputs.x]
variance = "m**2 + s"
mean = "m"
time = "constant"
[parameters]
m = 1
s = 2.5
""",
    )
    assert one.weights["W"].gain == Number(Fraction(1, 10))
    assert (one.weights["V"].ensemble, one.weights["U"].ensemble) == ("gaussian", "haar")
    assert one.biases["a"].std == Number(Fraction(0))
    assert one.biases["d"].mean == Number(Fraction(-1))
    assert (one.inputs["x"].time, one.inputs["x"].correlation) == ("constant", Number(Fraction(0)))
    assert list(one.parameters) == ["m", "s"]
    settings = resolve(one)
    assert math.isclose(settings.gains["V"], math.sqrt(2.5) / 2)


def test_names_are_one_in_normal_form() -> None:
    one = parse_cell('equations = "h\' = tanh(\uff37 @ h)"\n[weights]\nW = 1\n')
    assert one.updates["h"].right == Call("tanh", Product("W", Name("h")))
    assert "W" in parse_cell("equations = \"h' = tanh(W @ h)\"\n[weights]\n'\uff37' = 1\n").weights


TOML = (
    """
# comment with "quotes" and [brackets]
name = "a\\u00e9\\tb"   # tail
'quoted.key' = 'it"""
    + """
[ table . "sub" ]
a.b = { c = "x", d = [1, "y", { e = 'z' }], } # no
text = '''
l'1
l''2'''''
more = \"\"\"\\
    first \\
    "second" \\\\ \"\" end\"\"\"\"
[[array]]
k = 1
[[array]]
k = 2
"""
)


def test_places_agree_with_the_toml_reader() -> None:
    text = TOML.replace("'it", "'it'").replace("], }", "] }")
    data, places = tomllib.loads(text), find_places(text)

    def compare(value: object, path: tuple[str, ...]) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                assert (*path, key) in places
                compare(inner, (*path, key))
        elif isinstance(value, str):
            assert places[path].string == value
            offsets = places[path].offsets
            assert len(offsets) == len(value) + 1
            for character, offset in zip(value, offsets, strict=False):
                assert text[offset] == character or text[offset] == "\\"

    compare(data, ())
    assert text[slice(*places["table", "sub", "a", "b", "c"].value)] == '"x"'


@pytest.mark.parametrize(
    "text", ["a - (b - c)", "a/(b*c)", "(-a)**2", "-a**2", "(a + b)*c", "a**(-b)", "(1/3)*a", "0.1*a"]
)
def test_printed_expressions_read_back(text: str) -> None:
    assert parse(text_of(parse(text))) == parse(text)  # type: ignore[arg-type]
