"""Measured claims: each module prints a table and writes JSON; the figures in the documentation come from here."""
