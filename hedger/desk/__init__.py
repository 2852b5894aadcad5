"""What a desk looks at, computed once: documents of plain numbers, for the verbs and for any screen alike."""
