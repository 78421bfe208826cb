"""What is kept between trials, and what INC leaves behind in each, so that a trial costs less.

The only package that reaches into INC's internals; each reach says which versions it was checked
on and is undone after the call.
"""
