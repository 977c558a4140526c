"""Metrics: from answers to units, from units to estimates and paired differences.

Read ``units`` first, then ``estimation`` and ``paired``; the other modules define one family of metrics each.
"""
