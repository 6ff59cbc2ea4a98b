"""Reports of records. Numbers are rounded and formatted with units only here.

Called as a function, `bench.report(...)`, it is `bench.api.report`; `bench/__init__.py` says why.
"""
