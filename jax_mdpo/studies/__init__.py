"""Studies: a grid of runs × seeds × models, trained, evaluated and compared by one command that can be stopped and continued."""
