"""The fork server: one process with the common modules of managed services loaded, which forks a child for each
instance.

`client` belongs to the conductor, `server` is the process, `child` what becomes of a fork, `messages` what the two
say to each other, `title` what `ps` shows. The server has one thread, opens no event loop and reads no secret: what
it has in its memory, every child has too.
"""
