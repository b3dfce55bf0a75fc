"""How we show a receiver who we are: headers, tokens, certificates."""
