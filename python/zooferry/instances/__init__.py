"""From the heads of a network to label images; each method in a file of its own, `declaration` chooses."""
