"""The cell: read from one text file, checked, and given its numbers."""

from derive.cell.parameters import Settings, resolve
from derive.cell.reader import load, parse_cell, shipped, shipped_text
from derive.cell.spec import Cell
from derive.errors import CellError

__all__ = ["Cell", "CellError", "Settings", "load", "parse_cell", "resolve", "shipped", "shipped_text"]
