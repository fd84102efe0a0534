"""One page that tells an experiment: what was asked, the answer, the charts behind it, and every trial.

The page is a single file that needs no network: tables and sentences are in it as HTML, charts
as definitions that Vega, inlined once, draws. ``page.html``, ``page.css`` and ``page.js`` are what
it is made of.
"""
