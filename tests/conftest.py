"""Shapes and types that the signatures promise are checked while the tests run."""

from jaxtyping import install_import_hook

install_import_hook("jax_mdpo", "beartype.beartype")
