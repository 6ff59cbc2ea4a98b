"""Training: a matching checkpoint is loaded; otherwise the network is trained within the budget and saved."""
