"""Networks of real processes, seen only through API and CLI."""
