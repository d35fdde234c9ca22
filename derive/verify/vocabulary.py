"""Which names a hand formula may use for one cell, and how they are spelled in LaTeX."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import sympy as sp

from derive.elementary import Fn
from derive.site import SiteForm
from derive.verify.formula import FormulaError
from derive.verify.grammar import read_formula
from derive.verify.latex_notation import PLAIN, Reading
from derive.verify.latex_symbols import Key, Symbol, keys_of
from derive.write.identifiers import identifier_latex

QUANTITIES = ("chi1", "chi_star", "xi", "lam", "m1", "boundary", "pi")
"""Names that formulas have besides those of the cell."""

_QUANTITY_LATEX = {
    r"\chi_1": "chi1",
    r"\chi_*": "chi_star",
    r"\chi_{C^*}": "chi_star",
    r"\chi_{c^*}": "chi_star",
    r"\chi^*": "chi_star",
    r"\xi": "xi",
    r"\lambda": "lam",
    r"\pi": "pi",
    "m_1": "m1",
}


@dataclass(frozen=True)
class Vocabulary:
    """The names of one cell.

    fields : products by their matrices, ``W.2`` the second one; fed : those that a state feeds, rows and columns of K;
    slopes : definitions that are one function call, which can carry a prime and have a ``q_total``;
    exact : function or definition -> the one symbol its function is applied to, where that is a bare symbol;
    depends : definition -> the one symbol it varies with, parameters aside; spellings : pairs of LaTeX and a name in
    the plain notation (``sigma_w``, ``q_total[u]``), which come before the spelling by rule (``\\sigma_w``);
    symbols : LaTeX and what the writer of a formula says that it stands for, in the plain notation, which may be an
    expression (``q[W] + q[U]``) and comes before everything else; notation : what the symbols of a notation mean.
    """

    states: tuple[str, ...] = ()
    definitions: tuple[str, ...] = ()
    parameters: tuple[str, ...] = ()
    matrices: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    fed: tuple[str, ...] = ()
    biases: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    functions: tuple[str, ...] = ()
    slopes: tuple[str, ...] = ()
    exact: Mapping[str, str] = field(default_factory=dict)
    depends: Mapping[str, str] = field(default_factory=dict)
    spellings: tuple[tuple[str, str], ...] = ()
    symbols: tuple[tuple[str, str], ...] = ()
    notation: Reading = PLAIN

    @property
    def names(self) -> tuple[str, ...]:
        """Every name of the cell."""
        tables = (
            self.states, self.definitions, self.parameters, self.matrices, self.biases, self.inputs, self.functions,
        )  # fmt: skip
        return tuple(dict.fromkeys(name for table in tables for name in table))

    def given(self, symbol: Symbol, sup: str = "") -> str | None:
        """What the writer says that a symbol stands for."""
        return self._given.get(Key(symbol.plain.base, symbol.plain.sub, sup))

    @cached_property
    def _given(self) -> dict[Key, str]:
        found: dict[Key, str] = {}
        for latex, meaning in self.symbols:
            keys = keys_of(_braced(latex))
            if keys is None:
                rule = r"It is a letter with scripts: q, q^*, \Delta_0, K_{hr}."
                raise FormulaError("no single symbol", latex, (0, len(latex)), rule)
            found[keys[1]] = meaning
        return found

    @cached_property
    def shown(self) -> dict[str, str]:
        """Name -> the LaTeX it is first spelled by."""
        own: dict[str, str] = {}
        for latex, name in (*self.spellings, *_QUANTITY_LATEX.items()):
            own.setdefault(name, latex)
        return own | {name: identifier_latex(name) for name in self.names if name not in own}

    @cached_property
    def subscripts(self) -> dict[str, str]:
        """LaTeX of each name -> its subscript without fonts, where it has one."""
        keys = {latex: keys_of(latex) for latex in self.shown.values()}
        return {latex: pair[1].sub for latex, pair in keys.items() if pair is not None and pair[1].sub}

    def candidates(self, symbol: Symbol, sup: str = "") -> tuple[str, ...]:
        """Names that a symbol is a spelling of; more than one where it is ambiguous.

        Spellings count in this order: those given and, for names without one, those by rule; the same without fonts;
        those by rule of all names; a name in full, as in ``\\mathtt{sigma\\_w}``.
        """
        exact, plain = (Key(key.base, key.sub, sup) for key in (symbol.exact, symbol.plain))
        for table, key in ((self._tables[0], exact), (self._tables[1], plain), (self._tables[2], plain)):
            if key in table:
                return tuple(sorted(table[key]))
        whole = "" if sup or plain.sub else plain.base
        return (whole,) if whole in self.names or whole in QUANTITIES else ()

    @cached_property
    def _tables(self) -> tuple[dict[Key, set[str]], dict[Key, set[str]], dict[Key, set[str]]]:
        spelled = {name for _, name in self.spellings}
        primary = [*self.spellings, *_QUANTITY_LATEX.items(), *self.notation.quantities.items()]
        primary += [(identifier_latex(name), name) for name in self.names if name not in spelled]
        fallback = [(identifier_latex(name), name) for name in self.names]
        return _table(primary, 0), _table(primary, 1), _table(fallback, 1)


def vocabulary(site: SiteForm, symbols: Mapping[str, str] | None = None, notation: Reading = PLAIN) -> Vocabulary:
    """The names of a cell; ``symbols`` says what further LaTeX symbols stand for, in the plain notation.

    Raises
    ------
    FormulaError : what a symbol is said to stand for cannot be read
    """
    cell = site.cell
    for meaning in (symbols or {}).values():
        read_formula(f"1 = {meaning}")
    fed = [item.name for number, item in enumerate(site.fields) if number not in site.input_fields]
    slopes = [item.name for item in site.definitions if item.function is not None]
    own = [(latex, name) for name, latex in cell.latex.items()]
    return Vocabulary(
        states=cell.states,
        definitions=tuple(item.name for item in site.definitions),
        parameters=tuple(cell.parameters),
        matrices=tuple(cell.weights),
        fields=tuple(item.name for item in site.fields),
        fed=tuple(fed),
        biases=tuple(cell.biases),
        inputs=tuple(cell.inputs),
        functions=tuple(cell.functions),
        slopes=tuple(slopes),
        exact=_exact_arguments(site),
        depends=_dependencies(site),
        spellings=tuple(own),
        symbols=tuple((symbols or {}).items()),
        notation=notation,
    )


def _exact_arguments(site: SiteForm) -> dict[str, str]:
    """Function or definition -> the bare symbol that is its only argument in the cell."""
    plain = {symbol: str(symbol) for symbol in (*site.states, *(item.symbol for item in site.quenched))}
    everything = [*site.F, *(item.v for item in site.fields), *(item.value for item in site.definitions)]
    calls = {call for expression in everything for call in sp.sympify(expression).atoms(Fn) if call.order == 0}
    found: dict[str, str] = {}
    for name in site.functions.own:
        arguments = {call.argument for call in calls if call.name == name}
        if len(arguments) == 1 and arguments <= set(plain):
            found[name] = plain[arguments.pop()]
    for item in site.definitions:
        if item.argument in plain:
            found[item.name] = plain[item.argument]
    return found


def _dependencies(site: SiteForm) -> dict[str, str]:
    """Definition -> the one symbol, apart from parameters, that its value varies with."""
    constants = set(site.parameters.values())
    found: dict[str, str] = {}
    for item in site.definitions:
        free = item.value.free_symbols - constants
        if len(free) == 1:
            found[item.name] = str(free.pop())
    return found


def _braced(latex: str) -> str:
    """``K_hr`` as ``K_{hr}``: an index of several letters, typed without braces."""
    return re.sub(r"_([A-Za-z0-9]{2,})$", r"_{\1}", latex.strip())


def _table(pairs: Iterable[tuple[str, str]], which: int) -> dict[Key, set[str]]:
    found: dict[Key, set[str]] = {}
    for latex, name in pairs:
        keys = keys_of(latex)
        if keys is not None:
            found.setdefault(keys[which], set()).add(name)
    return found
