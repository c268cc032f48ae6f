"""Makes docs/reference/ and docs/aws/: `make reference`.

Every page is read from what runs, so that none can say something else.

`tests/architecture/test_reference.py` fails where a committed page is not what this makes.
"""
