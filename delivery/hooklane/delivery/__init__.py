"""One delivery to one receiver, from an event to an outcome. Both services deliver with it."""
