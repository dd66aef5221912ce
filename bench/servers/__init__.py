"""The servers of the bench, each started as a process of its own: `python -m bench.servers.<name> PORT`."""
