"""Speed, as ratios to peers measured in the same run: `make bench`. Every draw has a fixed seed: peers and
runs meet the same numbers.
"""
