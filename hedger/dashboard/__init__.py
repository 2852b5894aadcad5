"""The traders' terminal: a process of its own that reads the journal and leaves commands beside it.

Closing, hanging or killing it changes nothing for the engine. What it shows stands in the record or is
reckoned from it by `hedger.desk`, as the headless verbs do; nothing is decided here.
"""
