"""Checks claims about networks against measurements: each claim holds, fails or is undecided.

`claims_file` reads a file of claims, `verdict` decides claims from records, and `missing` lists the jobs that would
decide more of them. Nothing here imports torch.
"""
