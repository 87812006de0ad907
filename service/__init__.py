"""The web process: deletion requests in, recommendations out, and a page for those who watch."""
