"""Claims about networks, each from a source that it names, against what was measured: holds, fails or undecided.

`read` turns a file of claims into `Claim`s, `judge` decides one from records, `missing` lists what would have to be
measured to decide more. Nothing here imports torch.
"""
