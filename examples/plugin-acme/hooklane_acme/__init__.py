"""Plugins for Hooklane, one of each kind."""
