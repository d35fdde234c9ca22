"""Figures; only these modules import matplotlib."""
