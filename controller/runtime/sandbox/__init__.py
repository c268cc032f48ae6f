"""Walls around one process: what it may see, open, call and use. Linux only; nothing here but the standard library.

`plan` says which walls (pure data), `launcher` puts them up inside the child before it becomes the command,
`abilities` finds out once what this machine can do, `users` keeps one OS user for each Service. The parts that run
inside the child (`launcher`, `landlock`, `seccomp`, `view`, `calls`) import nothing outside this folder.
"""
