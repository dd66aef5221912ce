"""One command, one table: pegboard beside the bare SDK and FastMCP, in one run. `python -m bench --help`."""
