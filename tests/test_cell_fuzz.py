"""No text, however hostile, runs code, hangs the reader or escapes as another error than CellError."""

from __future__ import annotations

import builtins
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from derive.cell import Cell, CellError, parse_cell, shipped, shipped_text

LIMIT = 1.0  # seconds of CPU for one text

HOSTILE = (
    "__import__('os').system('touch /tmp/gatefield-fuzz')",
    "(lambda: 0)()",
    "().__class__.__bases__[0].__subclasses__()",
    "exec('1')",
    "open('/etc/passwd').read()",
    "9**9**9**9",
    "((((9**9)**9)**9)**9)",
    "exp(exp(exp(exp(9))))",
    "(" * 90,
    "(" * 3000 + ")" * 3000,
    "[" * 3000,
    "{a=" * 300,
    "-" * 5000,
    "~" * 50,
    "tanh(" * 120 + "h" + ")" * 120,
    "+h" * 500,
    "*h" * 99,
    "@h" * 60,
    "**2" * 70,
    "1" * 5000,
    "0x" + "f" * 5000,
    "1e999999999",
    "1e-999999999",
    "." + "9" * 100,
    "nan",
    "-inf",
    "a." * 60 + "b = 1\n",
    "a." * 3000 + "b = 1\n",
    "\x00",
    "\x1b[2J",
    "\u02b9",
    "\u0374",
    "\u2032",
    "\u2212",
    "\u0430",
    "\uff37",
    "\U0001d421",
    "\u202e",
    "\u200b",
    "\u0661",
    "\u00b2",
    "\ufeff",
    "\ud800",
    "e\u0301" * 50,
    "'",
    '"',
    "'''",
    '"""',
    "\\",
    "\\u0000",
    "\\U0010ffff",
    "#",
    "=",
    " = ",
    ":=",
    "==",
    "\n",
    "\r",
    "\r\n",
    "\t",
    "\f",
    ",",
    ";",
    "@",
    "@ h",
    "W @ ",
    "(",
    ")",
    "h'",
    "''",
    "[weights]\n",
    "[[weights]]\n",
    "[populations]\n",
    "equations = 'h\\'=h'\n",
    "dh/dt",
    "*dh/dt = ",
    "tau*",
    "f(x)(x)",
    "layernorm(h)",
    "lambda x: x",
    "if",
    "True",
    "None",
    "{ gain = 1, rank = 2 }",
    "{ variance = 1e400 }",
    "2001-01-01",
    "$(id)",
    "{{7*7}}",
    "%s%n",
)


def judge(text: str, limit: float = LIMIT) -> Cell | CellError:
    """Read the text; the only outcomes are a cell and an error with a place, and both come soon."""
    started = time.process_time()
    outcome = read(text)
    spent = time.process_time() - started
    assert spent < limit, f"{spent:.2f} s for {text[:2000]!r}"
    if isinstance(outcome, Cell):
        assert outcome.states
        assert parse_cell(outcome.text) == outcome
        return outcome
    assert 1 <= outcome.line <= text.count("\n") + 1
    assert outcome.column >= 1
    assert str(outcome).startswith(f"<text>, line {outcome.line}: ")
    assert len(str(outcome)) < 3000
    assert outcome.rule
    assert outcome.mend
    return outcome


def read(text: str) -> Cell | CellError:
    """The cell, or the error as a value."""
    try:
        return parse_cell(text)
    except CellError as error:
        return error


def mutate(text: str, rng: random.Random) -> str:
    """One small change: delete, double, swap or insert characters, lines or hostile tokens."""
    at = rng.randrange(len(text) + 1)
    lines = text.split("\n")
    match rng.randrange(9):
        case 0:
            return text[:at] + text[at + 1 :]
        case 1:
            return text[:at] + text[at : at + 2][::-1] + text[at + 2 :]
        case 2:
            other = rng.randrange(len(text) + 1)
            return text[: min(at, other)] + text[max(at, other) :] if abs(at - other) < 40 else text[:at] + text[other:]
        case 3:
            del lines[rng.randrange(len(lines))]
            return "\n".join(lines)
        case 4:
            first, second = rng.randrange(len(lines)), rng.randrange(len(lines))
            lines[first], lines[second] = lines[second], lines[first]
            return "\n".join(lines)
        case 5:
            lines.insert(rng.randrange(len(lines)), rng.choice(lines))
            return "\n".join(lines)
        case 6:
            return text[:at] + chr(rng.choice((rng.randrange(128), rng.randrange(0x3000)))) + text[at:]
        case 7:
            return text[:at] + text[at : at + rng.randrange(1, 30)] + text[at:]
    return text[:at] + rng.choice(HOSTILE) + text[at:]


def mutants(count: int, seed: int) -> Iterator[str]:
    """Shipped files with one to four changes each."""
    rng = random.Random(seed)
    originals = [shipped_text(name) for name in shipped()]
    for _ in range(count):
        text = rng.choice(originals)
        for _ in range(rng.choice((1, 1, 2, 4))):
            text = mutate(text, rng)
        yield text


@pytest.fixture(autouse=True)
def nothing_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any attempt to run code, open a file or start a process fails the test."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the reader tried to run something")

    real_compile = builtins.compile

    def only_trees(
        source: object, filename: object, mode: object, flags: int = 0, *rest: object, **more: object
    ) -> object:
        # `ast.parse` compiles with the flag that stops at the tree; anything else would make code.
        assert flags & 0x400, "the reader tried to compile code"
        return real_compile(source, filename, mode, flags, *rest, **more)  # type: ignore[call-overload]

    shipped()
    for name in shipped():
        shipped_text(name)
    monkeypatch.setattr(os, "system", refuse)
    monkeypatch.setattr(subprocess, "Popen", refuse)
    monkeypatch.setattr("ast.compile", only_trees, raising=False)


def test_mutations_of_the_shipped_cells() -> None:
    outcomes = [isinstance(judge(text), Cell) for text in mutants(2500, seed=1)]
    # Both outcomes occur often, so neither the mutations nor the reader are trivial.
    assert 0.02 < sum(outcomes) / len(outcomes) < 0.7
    assert not os.path.exists("/tmp/gatefield-fuzz")


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 12))
def test_many_mutations_of_the_shipped_cells(seed: int) -> None:
    for text in mutants(5000, seed):
        judge(text)


@pytest.mark.parametrize("token", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_tokens_everywhere(token: str) -> None:
    """Each token at each kind of place: equation, left side, each table, key, value, top level."""
    frames = (
        'equations = """\nh\' = {}\n"""\n',
        'equations = """\nh\' = tanh(W @ {} + h)\n"""\n[weights]\nW = 1\n',
        "equations = '''\n{} = h\nh' = h\n'''\n",
        "equations = '''\n{}*dh/dt = h\n'''\n",
        'equations = "h\' = {}"\n',
        'equations = "h\' = h"\n[weights]\nW = "{}"\n',
        'equations = "h\' = h"\n[weights]\nW = {}\n',
        'equations = "h\' = h"\n[weights]\n{} = 1\n',
        'equations = "h\' = h"\n[functions]\nf = "{}"\n',
        "equations = \"h' = h\"\n[inputs]\nx = {{ variance = '{}' }}\n",
        'equations = "h\' = h"\n[parameters]\np = {}\n',
        "equations = \"h' = h\"\n[latex]\nh = '{}'\n",
        'name = "{}"\nequations = "h\' = h"\n',
        '{}\nequations = "h\' = h"\n',
        "{}",
    )
    for frame in frames:
        judge(frame.replace("{{", "{").replace("}}", "}").replace("{}", token))


RELAXED = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)


@RELAXED
@given(st.text(max_size=200))
def test_any_text_as_a_file(text: str) -> None:
    judge(text)


@RELAXED
@given(st.text(max_size=100).filter(lambda text: "'''" not in text))
def test_any_text_as_equations(text: str) -> None:
    judge(f"equations = '''{text}'''\n")


ATOMS = st.sampled_from(["h", "h'", "c'", "z", "x", "b", "p", "2", "0.5", "1e-3", "9", "W", "(z - 1)"])
EXPRESSIONS = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from([" + ", "-", "*", "/", "**", " @ ", " "]), inner).map("".join),
        st.tuples(st.sampled_from(["tanh", "W @ ", "-", "f", "exp", "sqrt", "log"]), inner).map(
            lambda p: f"{p[0]}({p[1]})"
        ),
    ),
    max_leaves=12,
)


@settings(RELAXED, max_examples=400)
@given(st.lists(EXPRESSIONS, min_size=3, max_size=3))
def test_random_expressions(parts: list[str]) -> None:
    equations = "\n".join(f"{left} = {right}" for left, right in zip(("h'", "c'", "z"), parts, strict=True))
    tables = "[weights]\nW = 'p'\n[biases]\nb = 1\n[inputs]\nx = 1\n[functions]\nf = 'x**3'\n[parameters]\np = 1\n"
    judge(f'equations = """\n{equations}\n"""\n{tables}')


LARGE = {
    "many keys": 'equations = "h\' = h"\n[parameters]\n' + "".join(f"p{i} = 1\n" for i in range(20_000)),
    "many lines": "equations = '''\n" + "z = h\n" * 20_000 + "'''\n",
    "many comments": "# . . .\n" * 100_000,
    "one comment": "#" * 900_000,
    "long string": "title = '" + "a" * 900_000 + "'\n",
    "long equation": "equations = \"h' = " + "h+" * 300_000 + 'h"\n',
    "long name": "equations = \"h' = " + "h" * 900_000 + '"\n',
    "long number": "[parameters]\np = " + "1" * 900_000 + "\n",
    "long hexadecimal": "[parameters]\np = 0x" + "1" * 900_000 + "\n",
    "long float": "[parameters]\np = 0." + "1" * 900_000 + "\n",
    "brackets": "a = " + "[" * 900_000,
    "quotes": "'" * 900_000,
    "combining": "equations = \"h' = " + "e" + "\u0301" * 300_000 + '"\n',
    "unknown names": 'equations = """\n' + "".join(f"z{i} = y{i}\n" for i in range(299)) + 'h\' = h\n"""\n',
    "chain of functions": "equations = \"h' = f50(h)\"\n[functions]\nf0 = 'x'\n"
    + "".join(f"f{i + 1} = 'f{i}(f{i}(x))'\n" for i in range(50)),
}


@pytest.mark.parametrize("case", LARGE, ids=str)
def test_large_texts_are_quick(case: str) -> None:
    judge(LARGE[case], 2 * LIMIT)


def test_a_deep_caller_still_gets_a_cell_error() -> None:
    """Near the end of Python's stack the reader reports depth instead of overflowing."""

    def dive(levels: int) -> None:
        if levels:
            dive(levels - 1)
        else:
            judge(shipped_text(shipped()[0]))

    dive(max(0, sys.getrecursionlimit() - len_of_stack() - 60))


def len_of_stack() -> int:
    depth, frame = 0, sys._getframe()
    while frame is not None:
        depth, frame = depth + 1, frame.f_back  # type: ignore[assignment]
    return depth
