"""dlx: experiments on the foundations of deep learning, from a YAML spec to per-layer tables."""

__version__ = "0.1.0"
