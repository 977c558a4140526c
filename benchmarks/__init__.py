"""Measurements: timings and simulations, never tests."""
