"""What this toolkit costs, beside Tornado by hand and beside other tools: ``python -m benchmarks``.

All play in one process, or in processes that take turns, so that a ratio carries over to another machine. The other
tools come with ``pip install '.[bench]'``; one that is not there is left out, and the table says so.
"""
