"""The contracts: events, subscriptions, lanes, topics, records. Needs nothing else of Hooklane."""
