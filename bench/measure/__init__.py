"""One file per quantity: functions from a network and its conditions to numbers. They do not print or round."""
