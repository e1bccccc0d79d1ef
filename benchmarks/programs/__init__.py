"""What is measured. Each program reads one JSON object from standard input and prints one as its last line (see harness/protocol.py)."""
