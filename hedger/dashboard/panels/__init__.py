"""One module a panel: documents of the record as sheets of text. Pure."""
