"""One module's rules each; mirrors the source tree."""
