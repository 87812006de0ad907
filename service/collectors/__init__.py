"""Metrics that are read, not counted: from the ledger, the broker, the journal and the replica, at every scrape."""
