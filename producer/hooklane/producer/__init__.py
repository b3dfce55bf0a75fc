"""What internal services install to publish events."""
