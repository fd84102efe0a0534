"""From the tables of trials to answers: which trials, which numbers, how they differ, and how sure one can be.

Knows what lies in a results directory and nothing of how it came there. The parts, in the
order in which a command uses them:

- :mod:`dlx.analysis.selectors`: names of trials (``depth``, ``best@depth``, ``a1b2c3``) → :class:`~trials.Trial`
- :mod:`dlx.analysis.settings`: the parameters in which trials differ; seeds pooled; labels
- :mod:`dlx.analysis.metrics`: ``test_accuracy@best``, ``grad_norm[1]``, … of a trial
- :mod:`dlx.analysis.statistics`: intervals, differences, corrections, power
- :mod:`dlx.analysis.comparison`: the table of ``dlx compare`` and its sentences
"""
