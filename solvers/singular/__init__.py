"""Singular values of the Jacobian: one step, and products over untied steps."""
