"""Benchmarks of truth, calibration and speed; ``make bench`` writes docs/benchmarks.md."""
