"""The command `regulars`: parse, call, print. Heavy imports wait until a command runs."""
