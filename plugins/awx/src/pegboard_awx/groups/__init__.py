"""The groups of tools, one module each."""
