"""python -m jax_mdpo"""

from jax_mdpo.cli.main import main

main()
