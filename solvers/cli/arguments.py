"""The arguments of every subcommand, in one place and free of heavy imports."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from importlib import metadata

MAX_UNITS, MAX_SEEDS, LOOSEST = 20_000, 10_000, 1e-2

_EXIT_CODES = "exit codes: 0 fine, 1 theory and simulation disagree, 2 bad input, 3 did not converge"


class Intermixed(argparse.ArgumentParser):
    """Options may stand before, between and after the other arguments."""

    _inside = False

    def parse_known_args(self, args=None, namespace=None):  # type: ignore[no-untyped-def]
        """As `argparse.ArgumentParser.parse_known_intermixed_args`, which calls this method in its turn."""
        if self._inside:
            return super().parse_known_args(args, namespace)
        self._inside = True
        try:
            return self.parse_known_intermixed_args(args, namespace)
        finally:
            self._inside = False


def parser() -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    top = argparse.ArgumentParser(
        prog="gatefield",
        description="Mean-field and random-matrix theory of gated recurrent networks: derived from a cell file, "
        "solved, and checked against finite networks.",
        epilog=_EXIT_CODES,
        allow_abbrev=False,
    )
    top.add_argument("--version", action="version", version=f"gatefield {_version()}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True, parser_class=Intermixed)

    def command(name: str, text: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=text, description=text, epilog=_EXIT_CODES, allow_abbrev=False)

    _budget(command("cells", "list the shipped cells"))
    show = _cell(command("show", "print a cell's equations and what it declares"))
    show.add_argument("--source", action="store_true", help="print the cell file itself, to copy and change")
    _budget(show)
    derive = _ansatz(_changed(command("derive", "derive the theory, with numbered steps")), "stationary")
    derive.add_argument("--tex", metavar="FILE", help="also write a complete LaTeX document")
    derive.add_argument("--md", metavar="FILE", help="also write Markdown, with formulas between dollar signs")
    derive.add_argument("--html", metavar="FILE", help="also write one HTML page that opens without a network")
    derive.add_argument(
        "--notation", metavar="NAME", default="gatefield",
        help="how averages and symbols are written: gatefield, chen-2018, can-2020, krishnamurthy-2022, or a file",
    )  # fmt: skip
    _budget(derive)
    for name, text in (
        ("solve", "solve the mean field: all solutions, with errors"),
        ("spectrum", "eigenvalues of the Jacobian at every static solution"),
    ):
        own = _changed(command(name, text))
        _budget(_json(_tolerance(_parameters(_ansatz(_density(own) if name == "spectrum" else own)))))
    _dynamics(_parameters(_changed(command("dynamics", "stationary dynamics: autocorrelations, time scales, chaos"))))
    _critical(_parameters(_changed(command("critical", "critical initialisations, and isometry on them"))))
    for name, text in (
        ("simulate", "measure finite networks"),
        ("check", "compare theory and finite networks"),
    ):
        own = _parameters(_ansatz(_changed(command(name, text)), *(("stationary",) if name == "check" else ())))
        _networks(own, 1000)
        _budget(_json(_tolerance(own) if name == "check" else own))
    _lyapunov(_parameters(_changed(command("lyapunov", "Lyapunov exponents of finite networks, and the theory's"))))
    _fixed_points(_parameters(_changed(command("fixed-points", "all static solutions over a range of a parameter"))))
    _gradient(_parameters(_changed(command("gradient", "how gradients grow with the lag from the readout"))))
    _phase(_parameters(_changed(command("phase", "phase diagram: regimes over two parameters, and curves"))))
    _sweep(_tolerance(_parameters(_ansatz(_changed(command("sweep", "a mean field, or networks, at many points"))))))
    _plot(command("plot", "draw a quantity of a sweep: curves or a map"))
    framework = command("framework", "what a deep-learning framework's default initialiser amounts to")
    framework.add_argument("name", metavar="LAYER", nargs="?", help="such as torch.nn.RNN; without it, the known ones")
    framework.add_argument("--hidden", metavar="H", type=_whole("--hidden", 1, 10**9), help="number of units")
    framework.add_argument("--input", metavar="I", type=_whole("--input", 1, 10**9), help="number of inputs")
    framework.add_argument(
        "--option", metavar="NAME=VALUE", action="append", default=[], help="an option of the layer, as bias=false"
    )
    _budget(_json(_tolerance(_parameters(_ansatz(framework)))))
    verify = _ansatz(_changed(command("verify", "check a hand formula against the theory")))
    verify.add_argument("formula", metavar="FORMULA", nargs="?", help="left = right")
    verify.add_argument("--file", metavar="FILE", help="check every line of a file instead")
    verify.add_argument("--latex", action="store_true", help="formulas are LaTeX")
    verify.add_argument(
        "--symbol", metavar="LATEX=MEANING", action="append", default=[],
        help="what a LaTeX symbol of your own stands for, in plain notation: --symbol 'q^*=q_total[u]'",
    )  # fmt: skip
    verify.add_argument(
        "--notation", metavar="NAME",
        help="whose symbols the LaTeX uses: chen-2018, can-2020, krishnamurthy-2022, or a notation file",
    )  # fmt: skip
    verify.add_argument(
        "--where", metavar="NAME=VALUE", action="append", default=[], help="fix a parameter (all others stay free)"
    )
    _budget(_json(verify))
    export = _ansatz(_changed(command("export", "write the equations as one standalone NumPy file")))
    export.add_argument("-o", "--output", metavar="FILE.py", required=True, help="the file to write")
    _budget(export)
    _report(_parameters(_ansatz(_changed(command("report", "all of it as one HTML page, or in one folder")))))
    return top


def _version() -> str:
    try:
        return metadata.version("gatefield")
    except metadata.PackageNotFoundError:
        return "(not installed)"


def _cell(own: argparse.ArgumentParser) -> argparse.ArgumentParser:
    own.add_argument("cell", metavar="CELL", help="a shipped cell's name, or the path of a cell file")
    return own


def _changed(own: argparse.ArgumentParser) -> argparse.ArgumentParser:
    own.add_argument(
        "--set", metavar="NAME=VALUE", action="append", default=[],
        help="replace a function (phi=erf), parameter, bias, input or gain before anything is derived",
    )  # fmt: skip
    own.add_argument(
        "--limit", metavar="NAME=oo", action="append", default=[],
        help="send a parameter to infinity: saturated gates become exact steps",
    )  # fmt: skip
    own.add_argument(
        "--orthogonal", metavar="W,...", action="append", default=[],
        help="make weights orthogonal (Haar) matrices times their gains instead of Gaussian ones",
    )  # fmt: skip
    return _cell(own)


def _ansatz(own: argparse.ArgumentParser, *more: str) -> argparse.ArgumentParser:
    own.add_argument("--ansatz", default="static", choices=("static", "untied", *more), help="static unless given")
    return own


def _parameters(own: argparse.ArgumentParser) -> argparse.ArgumentParser:
    own.add_argument(
        "-p", dest="parameters", metavar="NAME=VALUE", action="append", default=[],
        help="set a parameter: a number or arithmetic such as 1/3 or sqrt(2); may be repeated",
    )  # fmt: skip
    return own


def _dynamics(own: argparse.ArgumentParser) -> None:
    own.add_argument("--tol", type=_positive("--tol", 0.5), help="relative accuracy of q and Q (1e-8; 1e-2 if sampled)")
    own.add_argument("--seed", type=_whole("--seed", 0, 2**63), default=0, help="of sampled paths (0)")
    _budget(_json(own))


def _critical(own: argparse.ArgumentParser) -> None:
    own.add_argument("--free", metavar="NAME", required=True, help="the parameter to solve for")
    own.add_argument("--and", dest="more", metavar="NAME", action="append", default=[],
                     help="a second free parameter: critical curves instead of points")  # fmt: skip
    own.add_argument("--range", metavar="LO:HI", action="append", default=[],
                     help="where to search, for --free and then for --and (by default as the kind of parameter says); "
                     "--range=-2:2 where it begins with a minus")  # fmt: skip
    own.add_argument("--ansatz", choices=("untied", "static"), help="untied (chi1 = 1) unless given; static: --radius")
    own.add_argument("--radius", action="store_true",
                     help="static solutions whose support touches the unit circle (or the imaginary axis)")  # fmt: skip
    own.add_argument("--plot", metavar="FILE", help="also draw the points or curves")
    own.add_argument("--seed", type=_whole("--seed", 0, 2**63), default=0, help="of sampled closures (0)")
    _budget(_json(_tolerance(own)))


def _lyapunov(own: argparse.ArgumentParser) -> None:
    _networks(own, 1000)
    own.add_argument("--exponents", metavar="K", type=_whole("--exponents", 1, MAX_UNITS), default=10,
                     help="how many, largest first (10)")  # fmt: skip
    own.add_argument("--most", metavar="K", type=_whole("--most", 0, MAX_UNITS), default=200,
                     help="exponents up to which the Kaplan-Yorke dimension is looked for (200; 0: not)")  # fmt: skip
    own.add_argument("--scale", type=_positive("--scale", 1e6), default=1.0,
                     help="standard deviation of the state from which a network starts (1)")  # fmt: skip
    _budget(_json(own))


def _fixed_points(own: argparse.ArgumentParser) -> None:
    what = own.add_mutually_exclusive_group(required=True)
    what.add_argument("--over", metavar="NAME=LO:HI:COUNT", help="parameter, range and number of values")
    what.add_argument("--simulate", action="store_true",
                      help="instead, count the fixed points of finite networks of N/2 and N units")  # fmt: skip
    own.add_argument("--plot", metavar="FILE", help="also draw the branches")
    _networks(own, 100)
    own.add_argument("--starts", metavar="COUNT", type=_whole("--starts", 1, 10**6), default=300,
                     help="with --simulate: searches in each network (300)")  # fmt: skip
    own.add_argument("--tol", type=_positive("--tol", LOOSEST), default=1e-8, help="relative accuracy asked for (1e-8)")
    _budget(_json(own))


def _gradient(own: argparse.ArgumentParser) -> None:
    own.add_argument("--ansatz", choices=("untied", "stationary"),
                     help="untied (default, maps only), or stationary: weights held (default of flows)")  # fmt: skip
    own.add_argument("--lags", type=_whole("--lags", 2, 100_000), metavar="T", help="how many steps or units of time")
    _networks(own, 300)
    own.set_defaults(seeds=4)
    _budget(_json(own))


def _phase(own: argparse.ArgumentParser) -> None:
    own.add_argument("--x", metavar="NAME=LO:HI:COUNT", required=True, help="parameter to the right, and its values")
    own.add_argument("--y", metavar="NAME=LO:HI:COUNT", required=True, help="parameter upwards, and its values")
    own.add_argument("-o", "--output", metavar="FILE.nc", help="write the diagram as NetCDF (an xarray Dataset)")
    own.add_argument("--plot", metavar="FILE", help="also draw it")
    own.add_argument("--static", action="store_true",
                     help="static solutions alone: quick, but chaos is not looked for")  # fmt: skip
    own.add_argument("--seed", type=_whole("--seed", 0, 2**63), default=0, help="of sampled paths (0)")
    _budget(_json(own))


def _sweep(own: argparse.ArgumentParser) -> None:
    own.add_argument("--over", metavar="NAME=LO:HI:COUNT", action="append", required=True,
                     help="a parameter; also log:LO:HI:COUNT, list:A,B,..., latin:LO:HI with --samples")  # fmt: skip
    own.add_argument("--samples", metavar="COUNT", type=_whole("--samples", 1, 10**8),
                     help="points of the Latin hypercube of all parameters given as NAME=latin:LO:HI")  # fmt: skip
    own.add_argument("--quantity", metavar="NAME,...", action="append", required=True,
                     help="what to keep, such as spectral_radius,q,chi1; an unknown name lists them all")  # fmt: skip
    own.add_argument("-o", "--output", metavar="STORE.zarr", required=True,
                     help="the store; where it exists already, the sweep is resumed")  # fmt: skip
    own.add_argument("--branch", choices=("largest", "all"), default="largest",
                     help="the solution with the largest Q of the first state (default), or all")  # fmt: skip
    own.add_argument("--solutions", metavar="MOST", type=_whole("--solutions", 1, 1000), default=8,
                     help="with --branch all: length of the dimension `solution` (8)")  # fmt: skip
    own.add_argument("--jobs", metavar="J", type=_whole("--jobs", 1, 10_000), help="processes (one for each processor)")
    own.add_argument("--dask", metavar="ADDRESS", help="workers of the dask scheduler at this address instead")
    own.add_argument("--chunk", metavar="POINTS", type=_whole("--chunk", 1, 10**8),
                     help="points that are computed and written together")  # fmt: skip
    own.add_argument("--retry-failed", action="store_true", help="compute chunks in which points failed once more")
    own.add_argument("--seed", type=_whole("--seed", 0, 2**63), default=0, help="root of all random draws (0)")
    own.add_argument("--simulate", action="store_true", help="measure finite networks instead of solving the theory")
    own.add_argument("-N", metavar="N,...", dest="N", help="with --simulate: units, a dimension N (1000)")
    own.add_argument("--seeds", type=_whole("--seeds", 1, MAX_SEEDS),
                     help="with --simulate: networks of each size at each point, a dimension `seed` (8)")  # fmt: skip
    own.add_argument("--starts", type=_whole("--starts", 1, 1000),
                     help="with --simulate: initial states of a network, followed together (1)")  # fmt: skip
    own.add_argument("--float32", action="store_true",
                     help="with --simulate: weights, products and eigenvalues in single precision")  # fmt: skip
    _budget(_json(own))


def _report(own: argparse.ArgumentParser) -> None:
    _networks(own, 1000)
    own.add_argument(
        "-o", "--output", metavar="FILE.html|DIR", required=True,
        help="the page to write; or a folder, for the page and what it is made of",
    )  # fmt: skip
    own.add_argument("--x", metavar="NAME=LO:HI:COUNT", help="first axis of the map (by default a stated rule)")
    own.add_argument("--y", metavar="NAME=LO:HI:COUNT", help="its second axis")
    own.add_argument(
        "--map", choices=("static", "full", "none"), default="static",
        help="regimes by static solutions (default), by states that fluctuate as well, or no map",
    )  # fmt: skip
    own.add_argument(
        "--map-seconds", type=_positive("--map-seconds", 1e9), default=60.0, metavar="SECONDS",
        help="what the map may take (60)",
    )  # fmt: skip
    _budget(_tolerance(own))


def _plot(own: argparse.ArgumentParser) -> None:
    own.add_argument("store", metavar="STORE.zarr", help="what `gatefield sweep` wrote")
    own.add_argument("--quantity", metavar="NAME", required=True, help="what to draw, such as spectral_radius or q[W]")
    own.add_argument("--x", metavar="NAME", help="parameter to the right (the first that is swept)")
    own.add_argument("--y", metavar="NAME", help="parameter upwards: a map instead of curves")
    own.add_argument("--at", metavar="NAME=VALUE", action="append", default=[],
                     help="which value of another dimension; the nearest that is there")  # fmt: skip
    own.add_argument("-o", "--output", metavar="FILE", required=True, help="the figure: .png, .pdf or .svg")
    _budget(own)


def _density(own: argparse.ArgumentParser) -> argparse.ArgumentParser:
    own.add_argument("--density", action="store_true", help="also the density of eigenvalues on a grid")
    own.add_argument(
        "--count", metavar="REGION", action="append", default=[],
        help="also the fraction of eigenvalues in a region: disk:RE,R  disk:RE,IM,R  annulus:RE,R1,R2  re>X",
    )  # fmt: skip
    own.add_argument("--plot", metavar="FILE", help="draw support, density and eigenvalues of one network")
    own.add_argument(
        "--singular", action="store_true",
        help="also singular values: m1, m2, quantiles, condition numbers; with --ansatz untied these alone",
    )  # fmt: skip
    own.add_argument(
        "--steps", metavar="T", type=_whole("--steps", 1, 1000),
        help="with --singular --ansatz untied: also moments of the product of T Jacobians of successive steps",
    )  # fmt: skip
    return own


def _tolerance(own: argparse.ArgumentParser) -> argparse.ArgumentParser:
    own.add_argument("--tol", type=_positive("--tol", LOOSEST), default=1e-10, help="relative accuracy asked for")
    return own


def _json(own: argparse.ArgumentParser) -> argparse.ArgumentParser:
    own.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    return own


def _budget(own: argparse.ArgumentParser) -> argparse.ArgumentParser:
    own.add_argument(
        "--budget", type=_positive("--budget", 1e9), metavar="SECONDS", help="stop after this time with what is there"
    )
    return own


def _networks(own: argparse.ArgumentParser, units: int) -> None:
    own.add_argument("-N", dest="N", type=_whole("-N", 2, MAX_UNITS), default=units, help=f"units ({units})")
    own.add_argument("--seeds", type=_whole("--seeds", 1, MAX_SEEDS), default=8, help="independent networks (8)")
    own.add_argument("--seed", type=_whole("--seed", 0, 2**63), default=0, help="root of all random draws (0)")


def _whole(option: str, low: int, high: int) -> Callable[[str], int]:
    def convert(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = low - 1
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"`{text[:40]}` is not a whole number from {low} to {high}")
        return value

    convert.__name__ = option
    return convert


def _positive(option: str, high: float) -> Callable[[str], float]:
    def convert(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not 0.0 < value <= high:
            raise argparse.ArgumentTypeError(f"`{text[:40]}` is not a number above 0 and at most {high:g}")
        return value

    convert.__name__ = option
    return convert
