"""A cell file becomes a Cell."""

from __future__ import annotations

import os
import stat
from functools import cache
from importlib import resources
from pathlib import Path, PurePath

from derive.cell.check import check
from derive.cell.declarations import TEXTS, read_declarations
from derive.cell.document import MAX_BYTES, Document, read_document
from derive.cell.equations import read_equations
from derive.cell.names import did_you_mean
from derive.cell.spec import Cell
from derive.errors import CellError

#: Characters of ``name``, and of ``title`` and ``source``.
MAX_NAME, MAX_TEXT = 100, 2000


def load(name_or_path: str | os.PathLike[str]) -> Cell:
    """Read a cell: a shipped one by its name, any other by the path of its file.

    Raises CellError for a file that cannot be read or breaks a rule of the cell format.
    """
    given = os.fspath(name_or_path)
    if isinstance(name_or_path, str):
        if given in shipped():
            return parse_cell(shipped_text(given), f"{given}.toml")
        looks_like_path = given.endswith(".toml") or os.sep in given or "/" in given
        if not looks_like_path and not _exists(given):
            raise _unknown(given)
    return parse_cell(_read(given), given)


def shipped() -> tuple[str, ...]:
    """Names of the cells that come with the package, in alphabetical order."""
    return _shipped()


@cache
def _shipped() -> tuple[str, ...]:
    files = (entry.name for entry in resources.files("derive.zoo").iterdir())
    return tuple(sorted(name.removesuffix(".toml") for name in files if name.endswith(".toml")))


def shipped_text(name: str) -> str:
    """The cell file of a shipped cell."""
    if name not in shipped():
        raise _unknown(name)
    return resources.files("derive.zoo").joinpath(f"{name}.toml").read_text(encoding="utf-8")


def parse_cell(text: str, path: str = "<text>") -> Cell:
    """Read a cell from the text of its file; ``path`` is what messages call it."""
    try:
        return _parse(text.removeprefix("\ufeff"), path)
    except RecursionError:
        raise CellError(
            "the cell nests too deep",
            path=path,
            line=1,
            rule="Expressions and tables have a limited depth.",
            mend="Give parts of the expressions names in lines of their own.",
        ) from None


def _parse(text: str, path: str) -> Cell:
    document = read_document(text, path)
    declared = read_declarations(document)
    texts = {key: _short_text(document, key) for key in TEXTS}
    equations = read_equations(document.passage(_equations_text(document), "equations"))
    checked = check(document.source, declared, equations)
    return Cell(
        name=texts["name"] or _stem(path),
        title=texts["title"],
        source=texts["source"],
        path=path,
        time=checked.time,
        states=checked.states,
        equations=equations,
        weights=declared.weights,
        biases=declared.biases,
        inputs=declared.inputs,
        functions=declared.functions,
        parameters=declared.parameters,
        latex=declared.latex,
        text=text,
    )


def _equations_text(document: Document) -> str:
    value = document.data.get("equations")
    if isinstance(value, str):
        return value
    if value is None:
        what, span = "`equations` is missing", document.value_span("name")
    else:
        what, span = "`equations` is not text", document.value_span("equations")
    mend = 'Write  equations = """  and  """  around the lines, before the first [table].'
    raise document.source.error(what, span, "A cell file has its equations as one text.", mend)


def _short_text(document: Document, key: str) -> str:
    value = document.data.get(key, "")
    span = document.value_span(key)
    if not isinstance(value, str):
        raise document.source.error(f"`{key}` is not text", span, "It is printed.", f'Write  {key} = "...".')
    limit = MAX_NAME if key == "name" else MAX_TEXT
    if len(value) > limit:
        raise document.source.error(
            f"`{key}` has {len(value)} characters", span, f"It has at most {limit} characters.", "Shorten it."
        )
    unfit = "/\\\n\t" if key == "name" else "\x00"
    if any(character in unfit for character in value) or (key == "name" and value.startswith(".")):
        raise document.source.error(
            f"`{key}` does not fit a file name",
            span,
            "Results are filed under the name, so it is one line without slashes and no leading dot.",
            'Write, for example,  name = "my-cell".',
        )
    return value


def _stem(path: str) -> str:
    return "cell" if path == "<text>" else PurePath(path).stem or "cell"


def _exists(path: str) -> bool:
    try:
        return os.path.exists(path)
    except ValueError:  # a NUL character
        return False


def _unknown(name: str) -> CellError:
    guess = did_you_mean(name, shipped())
    names = ", ".join(shipped())
    return CellError(
        f"there is no shipped cell `{name[:100]}`",
        path=name[:100],
        line=1,
        rule=f"The shipped cells are: {names}.",
        mend=f"{guess} Any other cell is given by the path of its file, with a slash or ending in .toml.".strip(),
    )


def _read(path: str) -> str:
    """The text of a regular file of reasonable size."""
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):
            kind = "a directory" if stat.S_ISDIR(status.st_mode) else "not a regular file"
            raise _unreadable(path, f"this is {kind}", "Give the path of a .toml file.")
        if status.st_size > MAX_BYTES:
            raise _unreadable(path, "the file is over a megabyte", "Keep only the cell in it.")
        with Path(path).open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        mend = f"Check the path; the shipped cells are: {', '.join(shipped())}."
        raise _unreadable(path, "there is no such file", mend) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise _unreadable(path, f"the file cannot be read: {reason}", "Check its name and permissions.") from None
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise CellError(
            f"byte {content[error.start]:#04x} is not UTF-8",
            path=path,
            line=line,
            rule="A cell file is text in UTF-8.",
            mend="Save it as UTF-8.",
        ) from None


def _unreadable(path: str, what: str, mend: str) -> CellError:
    rule = f"A cell file is a text file of at most {MAX_BYTES} bytes."
    return CellError(what, path=path[:300], line=1, rule=rule, mend=mend)
