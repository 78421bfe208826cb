"""What each runtime offers by itself, made in a process and an environment of its own.

Nothing here imports more than numpy, the runtime and what is light: see ``runtimes``.
"""
