"""The edge of a process that listens: who may hold a connection, for how long, and how big a head may be.

Everything here works before anybody is known, and knows no resource and no framework but the server's protocol class.
"""
