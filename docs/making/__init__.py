"""What makes the reference pages: one module a page, each a function from the code to Markdown."""
