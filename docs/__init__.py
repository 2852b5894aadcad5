"""The documentation: pages by hand, a reference that `python -m docs.make_reference` makes of the code."""
