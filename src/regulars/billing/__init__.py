"""What a generation costs: prices known or configured, applied exactly."""
