"""What a hand formula says: its names looked up in a theory, its averages taken over one site.

E[f] averages over one site in the fixed-point measure at one time.  Static: states are the solved ones.  Untied:
states are those entering the step, independent of that step's fields; their moments obey the theory's recursion,
extended where the formula asks for more of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches

import sympy as sp

from derive.elementary import Fn
from derive.errors import AnsatzError, ClosureError, SizeError
from derive.gaussian.average import Average, Law, average
from derive.meanfield.closure import Closure
from derive.stability.singular import singular_theory
from derive.stability.spectrum import LAM, LAM_CONJ, strongly_connected, transfer_matrix
from derive.theory import Theory
from derive.verify.arithmetic import Arithmetic, conjugate
from derive.verify.formula import (
    Formula,
    FormulaError,
    GaussianIntegral,
    Indexed,
    Mean,
    Name,
    Node,
    Slope,
    Span,
)

RESERVED = ("E", "D", "K", "q", "Q", "q_total", "C_star", "lam", "chi1", "chi_star", "xi", "m1", "boundary", "pi")
OF_UNTIED = ("chi1", "chi_star", "xi", "C_star")
OF_STATIC = ("K", "lam", "boundary")
CHI1, CHI_STAR = sp.Symbol("chi1", nonnegative=True), sp.Symbol("chi_star", nonnegative=True)
M1 = sp.Symbol("m1", nonnegative=True)


@dataclass(frozen=True)
class Claim:
    """A formula in the symbols of a theory.

    left, right : expressions in parameters, unknowns and averages; boundary : the claim is that ``right`` vanishes
    exactly where the spectral radius of K is one (left is then not used); law : of the averages; equations : closed
    equations of all unknowns; radii : symbol -> matrix whose spectral radius it stands for; replicas : the formula
    asks for quantities of two replicas; where : parameters that are fixed.
    """

    formula: Formula
    theory: Theory
    left: sp.Expr
    right: sp.Expr
    boundary: bool
    law: Law
    equations: Mapping[sp.Symbol, sp.Expr]
    radii: Mapping[sp.Symbol, sp.Matrix] = field(default_factory=dict)
    replicas: bool = False
    where: Mapping[sp.Symbol, sp.Rational] = field(default_factory=dict)


def require_plain_names(theory: Theory) -> None:
    """Raise AnsatzError where a name of the cell is one that formulas use themselves."""
    site = theory.site
    own = {*map(str, site.states), *(d.name for d in site.definitions), *site.parameters}
    own |= {item.name for item in site.quenched} | set(site.functions.own)
    clash = sorted(own & set(RESERVED))
    if clash:
        raise AnsatzError(
            f"the cell {site.cell.name} has a {clash[0]} of its own, which in formulas means something else; rename it "
            "in the cell file to check formulas"
        )


def read_claim(formula: Formula, theory: Theory, where: Mapping[str, sp.Rational] | None = None) -> Claim:
    """Look up the names of a formula in a theory.

    Raises
    ------
    FormulaError : an unknown name, a quantity that this ansatz does not define, a site variable outside E[...].
    AnsatzError : the cell uses names that formulas reserve.
    """
    require_plain_names(theory)
    reader = _Reader(formula, theory)
    boundary = formula.left == Name("boundary")
    left = sp.S.Zero if boundary else reader.outside(formula.left)
    right = reader.outside(formula.right)
    if not boundary and (_ties_lam(left, right) or _ties_lam(right, left)):
        boundary, left, right = True, sp.S.Zero, left - right
    fixed = {theory.site.parameters[name]: value for name, value in (where or {}).items()}
    return Claim(
        formula, theory, left, right, boundary, reader.law, reader.all_equations(), reader.radii, reader.replicas, fixed
    )


def _ties_lam(side: sp.Expr, other: sp.Expr) -> bool:
    """Whether the equation is how papers write the boundary of the support: 1 = X(lam), or |lam| = a radius.

    No equation of this kind can be an identity in lam.
    """
    spectral = other.has(LAM, LAM_CONJ)
    return spectral and (side == 1 or (not side.has(LAM, LAM_CONJ) and not other.atoms(Average)))


class _Reader:
    """Turns the tree of a formula into SymPy, collecting what its numbers need."""

    def __init__(self, formula: Formula, theory: Theory) -> None:
        self.formula, self.theory, self.site = formula, theory, theory.site
        self.law = theory.law
        self.radii: dict[sp.Symbol, sp.Matrix] = {}
        self.replicas = False
        self.moments: dict[sp.Symbol, sp.Expr] = {}  # equations of moments that m1 needs and the theory does not
        self.bound: dict[str, sp.Symbol] = {}
        self.constants: dict[sp.Symbol, sp.Expr] = {}  # averages inside averages: the same number for all units
        self.definitions = {item.name: item for item in self.site.definitions}
        self.arithmetic = Arithmetic(formula.text, self.site.functions)
        new = dict(zip(self.site.states, self.site.F, strict=True))
        self.closure = Closure(theory.law, lambda integrand: integrand.xreplace(new))

    # Errors --------------------------------------------------------------------------------------------------------

    def error(self, what: str, span: Span, rule: str = "") -> FormulaError:
        return FormulaError(what, self.formula.text, span, rule)

    def unknown(self, name: str, span: Span, known: list[str]) -> FormulaError:
        near = get_close_matches(name, known, n=1)
        hint = f" Did you mean `{near[0]}`?" if near else ""
        return self.error(f"`{name}` is not known here", span, f"There are {', '.join(known)}.{hint}")

    def of_ansatz(self, name: str, span: Span) -> None:
        wrong = OF_UNTIED if self.theory.ansatz == "static" else OF_STATIC
        if name in wrong:
            other = "untied" if self.theory.ansatz == "static" else "static"
            rule = f"This formula is read with --ansatz {self.theory.ansatz}."
            raise self.error(f"`{name}` belongs to the {other} ansatz", span, rule)

    # Outside averages ----------------------------------------------------------------------------------------------

    def outside(self, node: Node) -> sp.Expr:
        """A deterministic expression."""
        match node:
            case Name(name=name, span=span):
                return self.outer_name(name, span)
            case Indexed():
                return self.indexed(node)
            case Mean(operand=operand):
                return self.average(self.inside(operand))
            case GaussianIntegral():
                return self.integral(node)
            case Slope(span=span):
                raise self.error("a function of the site outside an average", span, "Write E[...] around it.")
        return self.arithmetic.value(node, self.outside)

    def outer_name(self, name: str, span: Span) -> sp.Expr:
        if name == "boundary":
            raise self.error("`boundary` inside an expression", span, "It stands alone on the left: boundary = X.")
        if name in self.bound:
            return self.bound[name]
        found = self.constant(name, span)
        if found is not None:
            return found
        if self.is_site_variable(name):
            raise self.error(f"`{name}` varies from unit to unit", span, f"Only its averages do not: E[{name}], ...")
        raise self.unknown(name, span, self.outer_names())

    def constant(self, name: str, span: Span) -> sp.Expr | None:
        """A number that is the same for all units."""
        if name in self.site.parameters:
            return self.site.parameters[name]
        if name == "pi":
            return sp.pi
        if name == "m1":
            return self.m1(span)
        if name in (*OF_UNTIED, *OF_STATIC) and name not in ("K", "C_star"):
            self.of_ansatz(name, span)
            return {"lam": lambda: LAM, "chi1": self.chi1, "chi_star": self.chi_star, "xi": self.xi}[name]()
        return None

    def outer_names(self) -> list[str]:
        quantities = ["q[..]", "q_total[..]", "Q[..]"]
        more = ["chi1", "chi_star", "xi", "C_star[..]"] if self.theory.ansatz == "untied" else ["K[..,..]", "lam"]
        return [*self.site.parameters, "pi", *quantities, *more, "m1", "E[..]"]

    def is_site_variable(self, name: str) -> bool:
        return name in self.site_symbols() or name in self.definitions

    def site_symbols(self) -> dict[str, sp.Symbol]:
        own = {str(s): s for s in self.site.states}
        return own | {item.name: item.symbol for item in self.site.quenched}

    def m1(self, span: Span) -> sp.Expr:
        """The mean squared singular value of the one-step Jacobian."""
        if self.theory.closure == "sampled":
            return M1
        try:
            found = singular_theory(self.theory)
        except (AnsatzError, SizeError) as reason:
            raise self.error("`m1` is not defined here", span, f"{reason}.") from None
        self.moments.update(found.moments.equations)
        return found.in_averages(found.m1)

    def chi1(self) -> sp.Expr:
        return self.radius(CHI1, self.theory.perturbation)

    def chi_star(self) -> sp.Expr:
        self.replicas = True
        return self.radius(CHI_STAR, self.theory.replicas.perturbation if self.theory.replicas else None)

    def xi(self) -> sp.Expr:
        return -1 / Fn("log", 0, self.chi_star())

    def radius(self, symbol: sp.Symbol, matrix: sp.Matrix | None) -> sp.Expr:
        """The spectral radius of a non-negative map: its one entry where a single direction returns to itself."""
        if matrix is None:
            return symbol
        blocks = strongly_connected(matrix)
        if not blocks:
            return sp.S.Zero
        if len(blocks) == 1 and len(blocks[0]) == 1 and symbol is not CHI_STAR:
            return matrix[blocks[0][0], blocks[0][0]]
        self.radii[symbol] = matrix
        return symbol

    def indexed(self, node: Indexed) -> sp.Expr:
        self.of_ansatz(node.name, node.span)
        if node.name == "K":
            return self.gain_entry(node)
        tables = {"q": self.theory.variances, "q_total": self.definitions, "Q": [str(s) for s in self.site.states]}
        tables["C_star"] = tables["Q"]
        if node.name not in tables:
            raise self.unknown(node.name, node.span, [*tables, "K", "E", "D"])
        known = list(tables[node.name])
        if len(node.indices) != 1 or node.indices[0] not in known:
            asked = f"{node.name}[{','.join(node.indices)}]"
            if not known:
                raise self.error(f"`{asked}` is not known here", node.span, "The cell has no definitions.")
            raise self.unknown(asked, node.span, [f"{node.name}[{k}]" for k in known])
        index = node.indices[0]
        match node.name:
            case "q":
                return self.theory.variances[index]
            case "Q":
                return self.average(self.site_symbols()[index] ** 2)
            case "C_star":
                return self.overlap(index)
        return self.total_variance(index, node.span)

    def overlap(self, state: str) -> sp.Expr:
        self.replicas = True
        if self.theory.replicas is None:
            return sp.Symbol(f"C_star[{state}]", real=True)
        return self.theory.replicas.covariances[state]

    def total_variance(self, name: str, span: Span) -> sp.Expr:
        argument = self.definitions[name].argument
        if argument is None:
            rule = f"q_total is the variance of the argument of a definition that is one function call; {name} is not."
            raise self.error(f"`q_total[{name}]` is not defined", span, rule)
        return self.average(argument**2) - self.average(argument) ** 2

    def gain_entry(self, node: Indexed) -> sp.Expr:
        names = [item.name for item in self.site.fields]
        if len(node.indices) != 2 or not set(node.indices) <= set(names):
            raise self.error(
                f"`K[{','.join(node.indices)}]` is no entry of the gain matrix",
                node.span,
                f"It has two fields as indices: {', '.join(names)}.",
            )
        k, m = (names.index(index) for index in node.indices)
        T = transfer_matrix(self.site, dict(self.theory.states))[k, m]
        return self.site.fields[k].gain ** 2 * average(T * conjugate(T), self.law)

    # Averages ------------------------------------------------------------------------------------------------------

    def average(self, integrand: sp.Expr) -> sp.Expr:
        """E over one site, with states eliminated (static) or their moments named (untied)."""
        if self.theory.ansatz == "static":
            return average(integrand.xreplace(dict(self.theory.states)), self.law)
        averaged = average(integrand, self.law)
        if self.theory.closure == "sampled":
            return averaged
        try:
            return self.closure.resolve(averaged)
        except ClosureError as error:
            whole = (0, len(self.formula.text))
            raise self.error(
                f"an average whose moments do not close: {', '.join(error.missing)}", whole,
                "A state and a field of the same function cannot be averaged without the law of the state.",
            ) from None

    def constant_average(self, value: sp.Expr) -> sp.Expr:
        """An average inside an average is one number for all units: an unknown of its own."""
        if not value.has(Average):
            return value
        symbol = sp.Symbol(f"constant[{len(self.constants)}]", real=True)
        self.constants[symbol] = value
        return symbol

    def all_equations(self) -> dict[sp.Symbol, sp.Expr]:
        """The theory's closed equations and those of further moments that the formula asks for.

        Raises FormulaError where the moments do not close.
        """
        found = self.moments | dict(self.theory.system.equations) | self.constants
        if self.theory.ansatz == "untied" and self.theory.closure != "sampled":
            try:
                self.closure.close()
                found |= {s: right for s, right in self.closure.solved().items() if s not in found}
            except ClosureError as error:
                whole = (0, len(self.formula.text))
                raise self.error(f"moments that do not close: {', '.join(error.missing)}", whole) from None
            if self.replicas and self.theory.replicas is not None:
                found |= self.theory.replicas.system.equations
        return found

    def inside(self, node: Node) -> sp.Expr:
        """A function of one site."""
        match node:
            case Name(name=name, span=span):
                return self.inner_name(name, span)
            case Slope():
                return self.slope(node)
            case Indexed() | Mean() | GaussianIntegral():
                return self.constant_average(self.outside(node))
        return self.arithmetic.value(node, self.inside)

    def inner_name(self, name: str, span: Span) -> sp.Expr:
        symbols = self.site_symbols()
        if name in symbols:
            return symbols[name]
        if name in self.definitions:
            return self.definitions[name].value
        found = self.bound.get(name) if name in self.bound else self.constant(name, span)
        if found is not None:
            return found
        if name in self.arithmetic.functions:
            return Fn(name, 0, self.argument_of(name, span))
        raise self.unknown(name, span, [*symbols, *self.definitions, *self.site.parameters, *self.site.functions.own])

    def slope(self, node: Slope) -> sp.Expr:
        if node.name in self.definitions:
            item = self.definitions[node.name]
            if item.function is None or item.argument is None:
                rule = f"D[u] exists where u is one function call u = f(argument); {node.name} is not."
                raise self.error(f"`D[{node.name}]` is not defined", node.span, rule)
            return Fn(item.function, node.order, item.argument)
        if node.name in self.arithmetic.functions:
            return Fn(node.name, node.order, self.argument_of(node.name, node.span))
        known = [item.name for item in self.site.definitions if item.function] + list(self.site.functions.own)
        raise self.unknown(f"D[{node.name}]", node.span, [f"D[{k}]" for k in known])

    def argument_of(self, function: str, span: Span) -> sp.Expr:
        """The one argument that the cell applies a function to."""
        expressions = [*self.site.F, *(item.v for item in self.site.fields), *(d.value for d in self.site.definitions)]
        calls = {f for e in expressions for f in e.atoms(Fn) if f.name == function and f.order == 0}
        arguments = sorted({call.argument for call in calls}, key=sp.default_sort_key)
        if len(arguments) != 1:
            where = "to several arguments" if arguments else "to nothing"
            rule = f"The cell applies `{function}` {where}; write {function}(...) with its argument."
            raise self.error(f"bare `{function}` is ambiguous", span, rule)
        return arguments[0]

    def integral(self, node: GaussianIntegral) -> sp.Expr:
        """The average over a standard Gaussian that the formula names itself."""
        if node.variable in self.bound or self.is_site_variable(node.variable) or node.variable in self.site.parameters:
            raise self.error(f"`{node.variable}` means something already", node.span, "Integrate over another name.")
        symbol = sp.Symbol(f"{node.variable}[standard normal]", real=True)
        blocks = dict(self.law.blocks) | {symbol: f"standard normal {node.variable}"}
        self.law = replace(self.law, blocks=blocks, second=dict(self.law.second) | {(symbol, symbol): sp.S.One})
        self.bound[node.variable] = symbol
        found = average(self.outside(node.operand), self.law)
        del self.bound[node.variable]
        return found
