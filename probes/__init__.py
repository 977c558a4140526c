"""Probe suites: which items are put to a model, how, and which metrics read the answers."""
