"""Statistics: estimates with confidence intervals, order statistics, paired tests and ratios of times."""
