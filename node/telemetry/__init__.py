"""What a node says about itself: log lines, metrics, the health of each part.

Owns the log's format (`logs.py`), the metrics and their names (`metrics.py`) and health (`health.py`). Imports the
leaf files alone. Keys, tokens and business payloads never appear here.
"""
