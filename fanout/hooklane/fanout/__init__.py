"""From a record of an event topic to a delivery, or to a place in the backlog."""
