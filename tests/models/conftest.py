"""One torch LLaVA, its checkpoint folders, and drawn inputs."""

import pytest


@pytest.fixture(scope="session")
def write_checkpoint_folder(tmp_path_factory):
    """A function that writes a complete tiny checkpoint; keyword arguments go to tiny_llava.write_tiny_llava."""

    def write(**options):
        from tiny_llava import write_tiny_llava  # needs torch, which a conftest must not ask for where the tests are skipped
        from tiny_processor import write_tiny_processor

        folder = tmp_path_factory.mktemp("checkpoint")
        write_tiny_llava(folder, **options)
        return write_tiny_processor(folder)

    return write
