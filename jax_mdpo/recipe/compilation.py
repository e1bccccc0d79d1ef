"""Compiled programs are kept on disk between starts."""

import jax

from jax_mdpo.data.cache import cache_folder

SETTING = "jax_compilation_cache_dir"  # also the environment variable JAX_COMPILATION_CACHE_DIR


def keep_compiled_programs() -> None:
    """Points jax's persistent compilation cache at the user's cache folder, unless a folder is set already or the cache switched off.

    What takes a second or more to compile is kept (jax's default). One folder serves all machines that see it: jax's key of a program
    covers its text, the versions of jaxlib and of the platform, the flags, and the devices' topology, which on a CPU names the
    processor's model and instruction sets.

    Several processes on GPUs get no folder by themselves: jax lets process 0 alone write, and XLA's processes share the work of
    tuning kernels. Where only process 0 has its program already, the others would wait for its share.
    """
    if getattr(jax.config, SETTING) is not None or (jax.process_count() > 1 and jax.default_backend() == "gpu"):
        return
    jax.config.update(SETTING, str(cache_folder() / "xla"))
