"""What dlx promises about speed and memory, measured: ``python -m benchmarks``."""
