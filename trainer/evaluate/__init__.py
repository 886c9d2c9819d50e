"""Benchmarks: problems, completions, verdicts and figures. Untrusted code runs in `sandbox` only."""
