"""Measurements, side by side in one run: only their ratios carry over to another machine."""
