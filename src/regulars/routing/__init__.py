"""Which endpoint a request goes to, and why. Pure: time is an argument."""
