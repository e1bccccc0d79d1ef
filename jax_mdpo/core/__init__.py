"""Records, views, protocols, configuration, seeds, errors and atomic files: what every other floor speaks in.

Axis legend, used in every shape of the project:
E pairs, B rows, T query positions, S key positions, P prefix positions, R response positions, N query heads, K key-value heads,
H head size, D width, F MLP width, V vocabulary, L layers, r LoRA rank; images are height, width, channels.
"""
