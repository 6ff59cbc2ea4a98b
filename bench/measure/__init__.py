"""One file a quantity: pure functions from a network and its conditions to numbers. They print and round nothing."""
