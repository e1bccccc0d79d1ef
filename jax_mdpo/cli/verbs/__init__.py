"""A file for each verb: it reads the arguments, calls one function of the Python face, and prints what came of it."""
