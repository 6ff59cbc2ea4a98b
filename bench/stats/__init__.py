"""Every inference of the program: a figure, the interval it lies in, and what may be said of two of them."""
