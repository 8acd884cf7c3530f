"""`python -m regulars` is the command `regulars`."""

from regulars.cli.main import main

main()
