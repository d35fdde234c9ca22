"""Every rule of the cell format: the line, the column of the caret, the rule and the mend."""

from __future__ import annotations

from pathlib import Path

import pytest

from derive.cell import CellError, load, parse_cell

HEAD = 'equations = """\n'
TABLES = '''
"""
[weights]
W_h = "sigma"
V = 1
[biases]
b = { mean = "mu", std = 0.5 }
[inputs]
x = "R"
[functions]
phi = "tanh(x)"
[parameters]
sigma = 1.0
mu = 0
R = 1
tau = 2
'''


def refusal(text: str, path: str = "t.toml") -> CellError:
    with pytest.raises(CellError) as caught:
        parse_cell(text, path)
    return caught.value


# (equations, line in the file, column, text of the message, text of the mend)
EQUATION_RULES = {
    "undefined weight": ("h' = tanh(W_x @ (b*h))", 2, 11, "`W_x` is not a declared weight", "Did you mean `W_h`?"),
    "unknown name": ("h' = h\nz = sigmo*h", 3, 5, "unknown name `sigmo`", "Did you mean `sigma`?"),
    "unknown function": ("h' = tan(h)", 2, 6, "unknown function `tan`", "Did you mean `tanh`?"),
    "other spelling of a function": ("h' = swish(h)", 2, 6, "unknown function `swish`", "`silu`"),
    "weight used elementwise": ("h' = W_h*h", 2, 6, "used elementwise", "W_h @ v"),
    "weight in a call": ("h' = tanh(W_h)", 2, 11, "used elementwise", "W_h @ v"),
    "state never updated": ("h' = c' + h", 2, 6, "never updated", "Add  c' ="),
    "state updated twice": ("h' = h\nh' = b", 3, 1, "updated twice", "line 2"),
    "definition written twice": ("h' = z\nz = b\nz = h", 4, 1, "defined twice", "line 3"),
    "state and definition": ("h' = b\nh = 2", 3, 1, "a state and a definition", "Rename"),
    "both kinds of time": ("h' = h\ndz/dt = -z", 3, 1, "both kinds of time", "z' = ..."),
    "both kinds, flow first": ("dh/dt = h\nz' = z", 3, 1, "both kinds of time", "dz/dt = ..."),
    "circular definitions": ("h' = z\nz = y\ny = z + 1", 3, 5, "circular definitions: z -> y -> z", "z' ="),
    "circular new values": ("h' = c'\nc' = h'", 2, 6, "circular definitions: h' -> c' -> h'", "old value"),
    "field needed before it exists": ("h' = z\nz = W_h @ y\ny = tanh(z)", 3, 11, "field of `W_h` is needed", "old"),
    "field needed, through a prime": ("h' = tanh(W_h @ h')", 2, 17, "field of `W_h` is needed", "W_h @ h"),
    "no state": ("h = tanh(W_h @ h)", 2, 1, "there is no state", "h' = ..."),
    "new value in continuous time": ("dh/dt = -h'", 2, 10, "continuous time", "Write  h"),
    "new value of a definition": ("h' = z'\nz = h", 2, 6, "a definition, not a state", "Write  z"),
    "new value of a bias": ("h' = b'", 2, 6, "a bias, not a state", "Write  b"),
    "target is declared": ("h' = h\nb = h", 3, 1, "declared twice", "Rename"),
    "target is a function of the cell": ("phi' = h", 2, 1, "declared twice", "Rename"),
    "target is a built-in function": ("tanh' = h", 2, 1, "name of a function", "`tanh_`"),
    "target is a keyword": ("class = h", 2, 1, "keyword", "`class_`"),
    "flow of a keyword": ("dif/dt = 1", 2, 1, "keyword", "`if_`"),
    "function without argument": ("h' = phi*h", 2, 6, "no argument", "phi(...)"),
    "built-in without argument": ("h' = tanh", 2, 6, "no argument", "tanh(...)"),
    "name called": ("h' = x(h)", 2, 6, "an input, not a function", "x*(...)"),
    "vector left of @": ("h' = b @ h", 2, 6, "a bias, not a weight", "b*..."),
    "weight right of @": ("h' = h @ W_h", 2, 10, "stands right of @", "W_h @ h"),
    "matrix times constant": ("h' = W_h @ (2*mu)", 2, 6, "times a constant", "[biases]"),
    "matrix times constant definition": ("h' = W_h @ z\nz = 2", 2, 6, "times a constant", "[biases]"),
    "factor before @": ("h' = mu*W_h @ h", 2, 6, "`mu*W_h` stands left of @", "`mu*(W_h @ h)`"),
    "minus before @": ("h' = -W_h @ h", 2, 6, "`-W_h` stands left of @", "`-(W_h @ h)`"),
    "two matrices": ("h' = W_h @ V @ h", 2, 6, "`W_h @ V` stands left", "`W_h @ (V @ h)`"),
    "sum of matrices": ("h' = (W_h + V) @ h", 2, 7, "stands left of @", "`W_h @ h + V @ h`"),
    "derivative on the right": ("dh/dt = dh/dt", 2, 9, "unknown name `dh`", "right side of dh/dt"),
    "derivative not last": ("dh/dt*tau = h", 2, 1, "cannot stand left", "tau*dh/dt"),
    "derivative of nothing": ("d/dt = h", 2, 1, "cannot stand left", "dh/dt"),
    "sum as time constant": ("tau + 1*dh/dt = h", 2, 1, "without brackets", "( ... )*dh/dt"),
    "product in a time constant": ("(W_h @ b)*dh/dt = h", 2, 2, "a matrix product left", "a name"),
    "expression on the left": ("2*h = h", 2, 1, "cannot stand left", "h = ..."),
    "function defined on the left": ("f(x) = h", 2, 1, "cannot stand left", "[functions]"),
    "nothing on the left": ("= h", 2, 1, "nothing stands left", "a name"),
    "nothing on the right": ("h' = # soon", 2, 4, "nothing stands right", "an expression"),
    "no equals sign": ("h' = h\ntanh(h)", 3, 1, "a line without `=`", "name = ..."),
    "continued without brackets": ("h' = h\n  + b", 3, 3, "a line without `=`", "in brackets"),
    "two equals signs": ("h' = z = h", 2, 8, "a second `=`", "new line"),
    "open at the end": ("h' = h +", 2, 8, "nothing follows `+`", "operand"),
    "two operators": ("h' = h + *b", 2, 8, "`*` has nothing on its left", "operand before `*`"),
    "no operator": ("h' = h b", 2, 6, "no operator between", "h*b"),
    "number and name": ("h' = 2h", 2, 6, "`2h` is neither", "2*h"),
    "hexadecimal": ("h' = 0x10", 2, 6, "neither a number nor a name", "decimal digits"),
    "leading zero": ("h' = 007", 2, 6, "begins with 0", "Write 7"),
    "bracket never closed": ("h' = tanh(h\nz = b", 2, 10, "never closed", "Close it"),
    "bracket never opened": ("h' = h)", 2, 7, "never opened", "Remove it"),
    "empty brackets": ("h' = tanh()", 2, 10, "empty brackets", "between"),
    "call of a call": ("h' = phi(h)(b)", 2, 11, "behind a bracket", ")*("),
    "bracket times bracket": ("h' = (h)(b)", 2, 8, "behind a bracket", ")*("),
    "primed function": ("h' = phi'(h)", 2, 6, "called like a function", "phi(...)"),
    "attribute": ("h' = np.tanh(h)", 2, 6, "attribute access", "tanh(...)"),
    "transpose": ("h' = W_h.T @ h", 2, 6, "attribute access", "second weight"),
    "subscript": ("h' = h[0]", 2, 7, "subscript", "Remove"),
    "list comprehension": ("h' = [h for h in b]", 2, 6, "subscript or list", "Remove"),
    "generator": ("h' = tanh(h for h in b)", 2, 13, "keyword", "Remove"),
    "lambda": ("h' = lambda y: y", 2, 6, "`lambda` is a keyword", "[functions]"),
    "condition": ("h' = h if b else x", 2, 8, "`if` is a keyword", "step(...)"),
    "boolean": ("h' = h and b", 2, 8, "`and` is a keyword", "Write numbers"),
    "constant of Python": ("h' = True*h", 2, 6, "`True` is a keyword", "Write numbers"),
    "string": ("h' = 'abc'", 2, 6, "a string", "c'"),
    "f-string": ("h' = f'abc'", 2, 7, "a string or a double prime", "Write f'"),
    "double prime": ("h' = h''", 2, 7, "double prime", "Write h'"),
    "prime behind a bracket": ("h' = (b*h)'", 2, 11, "prime behind a bracket", "c'"),
    "comparison": ("h' = (h > 0)*h", 2, 9, "a comparison", "step(a - b)"),
    "walrus": ("h' = (z := h)", 2, 9, "assignment inside", "name = ..."),
    "keyword argument": ("h' = tanh(h, axis=0)", 2, 12, "several arguments", "one expression"),
    "named argument": ("h' = tanh(x=h)", 2, 12, "keyword argument", "Remove the name"),
    "starred argument": ("h' = tanh(*h)", 2, 11, "before an argument", "Remove it"),
    "several arguments": ("h' = phi(h, b)", 2, 11, "several arguments", "one expression"),
    "tuple": ("h' = h, b", 2, 7, "a comma", "Remove the comma"),
    "integer division": ("h' = h // 2", 2, 8, "integer division", "Write /"),
    "remainder": ("h' = h % 2", 2, 8, "remainder", "Remove"),
    "caret as power": ("h' = h ^ 2", 2, 8, "the sign `^`", "a**b"),
    "updating operator": ("h += b", 2, 3, "the operator `+=`", "a = a + ..."),
    "semicolon": ("h' = h; z = b", 2, 7, "a semicolon", "new line"),
    "typographic minus": ("h' = h \u2212 b", 2, 8, "typographic minus", "hyphen"),
    "typographic prime": ("h\u2032 = h", 2, 2, "typographic prime", "Write '"),
    "letter prime": ("h' = h\u02b9", 2, 6, "is not a name", "c'"),
    "superscript": ("h' = h\u00b2", 2, 6, "is not a name", "a**2"),
    "look-alike": ("h' = W_\u04bb @ h", 2, 6, "not a declared weight", "U+04BB"),
    "tower": ("h' = 9**9**9**9", 2, 9, "out of range", "exp(a*log(b))"),
    "nested powers": ("h' = ((h**9)**9)**9", 2, 7, "nested powers of total exponent 81", "Lower it"),
    "high power": ("h' = h**65", 2, 6, "the power 65", "Lower it"),
    "huge number": ("h' = 1e999999999*h", 2, 6, "out of range", "parameter"),
    "long number": ("h' = " + "1" * 1000, 2, 6, "a number of 1000 characters", "Round"),
    "large constant": ("h' = 1e200*1e200*h", 2, 6, "too large", "parameter"),
    "small constant": ("h' = 1e-200*1e-200*h", 2, 6, "too small", "parameter"),
    "exponential of a constant": ("h' = h + exp(800)", 2, 10, "too large", "parameter"),
    "division by zero": ("h' = h/(1/0)", 2, 9, "no real value", "another constant"),
    "root of a negative number": ("h' = sqrt(-1)*h", 2, 6, "no real value", "another constant"),
    "deep brackets": ("h' = " + "(" * 150 + "h" + ")" * 150, 2, 86, "too deep", "lines of their own"),
    "long sum": ("h' = " + "+".join(["h"] * 200), 2, 6, "too deep", "lines of their own"),
    "long equation": ("h' = " + "-" * 30000 + "h", 2, 6, "30001 characters", "lines of their own"),
    "layer normalisation": ("h' = layernorm(h)", 2, 6, "`layernorm` cannot be expressed", "Remove it"),
    "layer norm, spelled": ("h' = layer_norm(h)", 2, 6, "`layer_norm` cannot be expressed", "Remove it"),
    "softmax": ("h' = softmax(h)", 2, 6, "`softmax` cannot be expressed", "sigmoid(...)"),
    "mean": ("h' = mean(h)", 2, 6, "`mean` cannot be expressed", "W @ v"),
    "sum": ("h' = h - sum(h)", 2, 10, "`sum` cannot be expressed", "W @ v"),
    "concatenation": ("h' = V @ concat(h, x)", 2, 10, "`concat` cannot be expressed", "W_h @ h + U_x @ x"),
    "no equations": ("# none", 2, 1, "there are no equations", "h' ="),
    "too many equations": ("h' = h\n" + "\n".join(f"z{i} = h" for i in range(400)), 302, 1, "401 equations", "Split"),
    "exponential growth": (
        "h' = z30\nz0 = h\n" + "\n".join(f"z{i + 1} = z{i}*z{i} + z{i}" for i in range(30)),
        12,
        6,
        "grows too large",
        "Simplify",
    ),
}


@pytest.mark.parametrize("case", EQUATION_RULES, ids=str)
def test_equation_rule(case: str) -> None:
    equations, line, column, what, mend = EQUATION_RULES[case]
    error = refusal(HEAD + equations + TABLES)
    message = str(error)
    assert what in message
    assert mend in error.mend or mend in error.rule
    assert error.rule
    assert (error.line, error.column) == (line, column), message
    assert message.startswith(f"t.toml, line {error.line}: ")


GOOD = 'equations = "h\' = tanh(W @ h)"\n'

# (text, line, column, text of the message, text of the mend)
TABLE_RULES = {
    "unknown top-level key": (GOOD + "[weigths]\nW = 1\n", 2, 2, "`weigths` is not a key", "`weights`"),
    "unknown word": ("titel = 'a'\n" + GOOD + "[weights]\nW = 1\n", 1, 1, "`titel` is not a key", "`title`"),
    "populations": (GOOD + "[weights]\nW = 1\n[populations]\nE = 0.8\n", 4, 2, "`populations`", "Remove"),
    "bidirectional": ("bidirectional = true\n" + GOOD, 1, 1, "`bidirectional`", "Remove"),
    "rank": (GOOD + "[weights]\nW = { gain = 1, rank = 2 }\n", 3, 17, "`rank`", "Remove"),
    "mean of a weight": (GOOD + "[weights]\nW = { gain = 1, mean = 2 }\n", 3, 17, "`mean`", "Remove"),
    "shape": (GOOD + "[weights.W]\ngain = 1\nshape = [2, 3]\n", 4, 1, "`shape`", "Remove"),
    "unknown key of a weight": (GOOD + "[weights]\nW = { gian = 1 }\n", 3, 7, "`gian`", "`gain`"),
    "no gain": (GOOD + '[weights]\nW = { ensemble = "haar" }\n', 3, 1, "no gain", "gain ="),
    "ensemble": (GOOD + '[weights]\nW = { gain = 1, ensemble = "hare" }\n', 3, 28, "`hare`", "`haar`"),
    "ensemble, dotted": (GOOD + '[weights]\nW.gain = 1\nW.ensemble = "goe"\n', 4, 14, "`goe`", "gaussian"),
    "negative gain": (GOOD + "[weights]\nW = -1\n", 3, 5, "negative", "absolute value"),
    "gain is a boolean": (GOOD + "[weights]\nW = true\n", 3, 5, "not a number", "W = 1.0"),
    "gain is a list": (GOOD + "[weights]\nW = [1]\n", 3, 5, "not a number", "W = 1.0"),
    "gain not declared": (GOOD + '[weights]\nW = "2*sigma"\n', 3, 8, "`sigma` in the gain of `W`", "sigma = 1.0"),
    "gain is a state": (GOOD + '[weights]\nW = "h"\n', 3, 6, "is not a parameter", "a state"),
    "gain has no value": (GOOD + '[weights]\nW = "1/(2-2)"\n', 3, 6, "no real value", "another"),
    "gain is a product": (GOOD + '[weights]\nW = "W @ h"\n', 3, 6, "not arithmetic", "a parameter"),
    "function in a gain": (
        GOOD + '[weights]\nW = "gelu(s)"\n[parameters]\ns = 1\n',
        3,
        6,
        "`gelu` in the gain",
        "Write it with these",
    ),
    "std of unknown name": (
        GOOD + '[weights]\nW = 1\n[biases]\nb = { std = "rho" }\n[parameters]\nrh = 1\n',
        5,
        14,
        "`rho` in the std",
        "`rh`",
    ),
    "negative std": (GOOD + "[weights]\nW = 1\n[biases]\nb = { std = -1 }\n", 5, 13, "negative", "absolute value"),
    "unknown key of a bias": (GOOD + "[weights]\nW = 1\n[biases]\nb = { sdt = 1 }\n", 5, 7, "`sdt`", "`std`"),
    "unknown key of an input": (
        GOOD + "[weights]\nW = 1\n[inputs]\nx = { varience = 1 }\n",
        5,
        7,
        "`varience`",
        "`variance`",
    ),
    "no variance": (GOOD + "[weights]\nW = 1\n[inputs]\nx = { mean = 1 }\n", 5, 1, "no variance", "variance ="),
    "negative variance": (GOOD + "[weights]\nW = 1\n[inputs]\nx = -2\n", 5, 5, "negative", "positive"),
    "input time": (
        GOOD + '[weights]\nW = 1\n[inputs]\nx = { variance = 1, time = "const" }\n',
        5,
        28,
        "`const`",
        "`constant`",
    ),
    "declared in two tables": (GOOD + "[weights]\nW = 1\n[biases]\nW = 1\n", 5, 1, "declared twice", "Rename"),
    "one name in two spellings": (GOOD + "[weights]\nW = 1\n'\uff37' = 1\n", 4, 1, "declared twice", "Rename"),
    "keyword as name": (GOOD + "[weights]\nlambda = 1\n", 3, 1, "keyword", "`lambda_`"),
    "not an identifier": (GOOD + "[weights]\nW-h = 1\n", 3, 1, "is not a name", "`W_h`"),
    "function name as weight": (GOOD + "[weights]\ntanh = 1\n", 3, 1, "name of a function", "`tanh_`"),
    "built-in redefined": (GOOD + '[weights]\nW = 1\n[functions]\nrelu = "x"\n', 5, 1, "built-in", "`relu_`"),
    "function of other names": (
        GOOD + '[weights]\nW = 1\n[functions]\nphi = "tanh(y)"\n',
        5,
        13,
        "`y` in the function `phi`",
        "y = 1.0",
    ),
    "function of a state": (
        GOOD + '[weights]\nW = 1\n[functions]\nphi = "x*h"\n',
        5,
        10,
        "is not a parameter",
        "a state",
    ),
    "unknown function in a function": (
        GOOD + '[weights]\nW = 1\n[functions]\nphi = "tahn(x)"\n',
        5,
        8,
        "unknown function `tahn`",
        "`tanh`",
    ),
    "product in a function": (
        GOOD + '[weights]\nW = 1\n[functions]\nphi = "W @ x"\n',
        5,
        8,
        "a matrix product",
        "as x",
    ),
    "circular functions": (
        GOOD + '[weights]\nW = 1\n[functions]\nf = "g(x)"\ng = "f(x)"\n',
        5,
        1,
        "needs itself",
        "Write one",
    ),
    "function is a number": (GOOD + "[weights]\nW = 1\n[functions]\nphi = 3\n", 5, 7, "not text", "tanh(x)"),
    "powers through functions": (
        "equations = \"h' = f(f(f(h)))\"\n[functions]\nf = 'x**9'\n",
        3,
        6,
        "nested powers",
        "Lower",
    ),
    "default is text": (GOOD + '[weights]\nW = "s"\n[parameters]\ns = "one"\n', 5, 5, "text as default", "required"),
    "default is a boolean": (GOOD + '[weights]\nW = "s"\n[parameters]\ns = true\n', 5, 5, "not a number", "s = 1.0"),
    "default is nan": (GOOD + '[weights]\nW = "s"\n[parameters]\ns = nan\n', 5, 5, "not finite", "s = 1.0"),
    "default is infinite": (GOOD + '[weights]\nW = "s"\n[parameters]\ns = -inf\n', 5, 5, "not finite", "s = 1.0"),
    "default out of range": (
        GOOD + '[weights]\nW = "s"\n[parameters]\ns = 1e999999999\n',
        5,
        5,
        "out of range",
        "unit",
    ),
    "weights not a table": ("weights = 1\n" + GOOD, 1, 1, "`weights` is not a table", "[weights]"),
    "latex of an unknown name": (
        GOOD + "[weights]\nW = 1\n[latex]\nWW = 'V'\n",
        5,
        1,
        "not a name of this cell",
        "`W`",
    ),
    "latex that runs code": (
        GOOD + "[weights]\nW = 1\n[latex]\nW = '\\input{a}'\n",
        5,
        6,
        "`\\input` in LaTeX",
        "without",
    ),
    "unbalanced latex": (GOOD + "[weights]\nW = 1\n[latex]\nW = 'W_{h'\n", 5, 6, "unbalanced", "Close"),
    "no equations": ("name = 'a'\n", 1, 8, "`equations` is missing", "equations ="),
    "equations below a table": ("[weights]\nW = 1\n" + GOOD, 3, 1, "stands under [weights]", "before the first"),
    "equations not text": ("equations = 3\n", 1, 13, "not text", "equations ="),
    "name with a slash": ("name = '../a'\n" + GOOD, 1, 8, "file name", "my-cell"),
    "not TOML": (GOOD + "[weights]\nW = sigma\n", 3, 5, "Invalid value", "quotation marks"),
    "key twice": (GOOD + "[weights]\nW = 1\nW = 2\n", 4, 6, "Cannot overwrite", "Remove one"),
    "text without end": ("name = 'a'\n\nequations = '''\nh' = h\n", 4, 6, "Expected", "Close"),
    "NUL character": ("name = 'a'\n\x00" + GOOD, 2, 1, "NUL", "Remove"),
    "lone surrogate": ("name = '\ud800'\n" + GOOD, 1, 9, "surrogate", "Remove"),
    "keys of many parts": ("a" + ".a" * 5000 + " = 1\n" + GOOD, 1, 2, "too many dots", "Shorten"),
}


@pytest.mark.parametrize("case", TABLE_RULES, ids=str)
def test_table_rule(case: str) -> None:
    text, line, column, what, mend = TABLE_RULES[case]
    error = refusal(text)
    assert what in str(error)
    assert mend in error.mend or mend in error.rule
    assert (error.line, error.column) == (line, column), str(error)


def test_message_has_four_parts() -> None:
    error = refusal(HEAD + "h' = tanh(W_x @ (b*h))" + TABLES, "my-cell.toml")
    assert str(error) == (
        "my-cell.toml, line 2: `W_x` is not a declared weight\n"
        "    h' = tanh(W_x @ (b*h))\n"
        "              ^^^\n"
        "  Every matrix left of @ needs a line under [weights]. Did you mean `W_h`? "
        'Otherwise add  W_x = "sigma_x".'
    )


def test_columns_behind_wide_characters_and_primes() -> None:
    error = refusal("equations = \"ψ' = ψ' + c'*tanh(ψ*q)\"\n")
    assert "`c` is never updated" in str(error)
    assert (error.line, error.column) == (1, 24)
    assert refusal('equations = "ψ\' = ψ*ﬁ*q"\n').column == 21


def test_columns_behind_escapes() -> None:
    assert refusal('equations = "h\' = h\\u0020+ q"\n').column == 28
    assert refusal('equations = "h\' = h\\nz = q"\n').column == 26
    error = refusal('equations = """h\' = \\\n   (h + \\\n  q)"""\n')
    assert (error.line, error.column) == (3, 3)


def test_line_of_a_continued_equation() -> None:
    error = refusal("equations = '''\nh' = tanh(h # first (\n\n  + q)\n'''\n")
    assert (error.line, error.column) == (4, 5)


def test_deep_tables_are_refused() -> None:
    for nested in ("[" * 5000, "[" * 100 + "]" * 100, "{a=" * 400 + "1" + "}" * 400):
        assert "too deep" in str(refusal(GOOD + "x = " + nested + "\n"))


def test_deep_recursion_of_definitions_is_refused() -> None:
    chain = "\n".join(f"z{i + 1} = {'tanh(' * 20}z{i}{')' * 20}" for i in range(50))
    assert "grows too large" in str(refusal(HEAD + "z0 = h\nh' = z50\n" + chain + TABLES))


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    large = tmp_path / "large.toml"
    large.write_text("#" * 1_000_001)
    latin = tmp_path / "latin.toml"
    latin.write_bytes(b"name = 'a'\ntitle = '\xe9'\n")
    for path, what in (
        (tmp_path, "a directory"),
        (large, "over a megabyte"),
        (tmp_path / "none.toml", "no such file"),
        ("/dev/zero", "not a regular file"),
        ("a\x00/b", "cannot be read"),
    ):
        with pytest.raises(CellError, match=what) as caught:
            load(path)
        assert caught.value.line == 1
    with pytest.raises(CellError, match="not UTF-8") as caught:
        load(str(latin))
    assert caught.value.line == 2
    assert "over a megabyte" in str(refusal("#" * 1_000_001))


def test_unknown_shipped_name_lists_the_shipped() -> None:
    with pytest.raises(CellError, match="no shipped cell `lsmt`") as caught:
        load("lsmt")
    assert "Did you mean `lstm`?" in caught.value.mend
    assert "gru-reset-after" in caught.value.rule
