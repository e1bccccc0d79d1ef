"""Models: parts, the families assembled from them, and the evaluation of views."""
