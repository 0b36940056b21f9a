"""Real stores and sockets, in one process."""
