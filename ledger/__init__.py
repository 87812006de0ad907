"""What was asked, who works on it and what was proven: the truth, kept in PostgreSQL."""
