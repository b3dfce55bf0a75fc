"""What waits in the backlog comes again, in order, when its time has come."""
