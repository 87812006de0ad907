"""Celery workers: they train, unlearn, sweep and issue receipts.

`pipeline.run_once` is the page to open first.
"""
