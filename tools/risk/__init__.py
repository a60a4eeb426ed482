"""What a strategy may lose: measures of its returns, and the risk of the protocols that it relies on."""
