"""Train or load: a checkpoint that fits the job is loaded, else the network is trained within the budget and kept."""
