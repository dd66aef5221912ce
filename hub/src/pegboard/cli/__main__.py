"""`python -m pegboard.cli`, for where the script is not installed."""

from pegboard.cli.app import main

main()
