"""Log-probabilities of given tokens, without the logits of all positions at once."""
