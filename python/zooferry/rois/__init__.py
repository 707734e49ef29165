"""Regions of interest (ROIs) of ImageJ <-> label images, and what is wrong with an annotation."""
